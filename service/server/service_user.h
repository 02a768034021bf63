// Who the server becomes when it was started as root, and how.

#ifndef CLOISTER_SERVICE_SERVER_SERVICE_USER_H_
#define CLOISTER_SERVICE_SERVER_SERVICE_USER_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cloister::server {

struct ServiceUser {
  uid_t uid;
  gid_t gid;
};

// A user for this server alone, which deploy/quickstart.sh makes. As nobody it would share its ids,
// and the right to send signals, with whatever else runs so.
inline constexpr char kDedicatedUser[] = "cloister";

// A name of the user database, or "uid:gid". "nobody" is known even where there is no database, and
// stands in for kDedicatedUser where there is no such user.
// Errors: INVALID_ARGUMENT; root is refused.
absl::StatusOr<ServiceUser> FindServiceUser(const std::string& text);

// Gives up root for good where the process has it, and in any case every capability, the way back
// to them, and being traced. The process must have one thread: children and threads inherit.
absl::Status DropPrivileges(const ServiceUser& user);

// Lets the process open as many descriptors as it may: each live sandbox costs a handful.
void RaiseDescriptorLimit();

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_SERVICE_USER_H_
