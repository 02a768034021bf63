// Which ids of a user namespace stand for which ids outside.

#ifndef CLOISTER_SANDBOX_LINUX_USER_NAMESPACE_H_
#define CLOISTER_SANDBOX_LINUX_USER_NAMESPACE_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace cloister::sandbox {

// `count` ids from `inside` on are those from `outside` on.
struct IdRange {
  uint32_t inside = 0;
  uint32_t outside = 0;
  uint32_t count = 1;
};

struct IdMaps {
  std::vector<IdRange> users;
  std::vector<IdRange> groups;
};

// The text of a /proc/PID/uid_map.
std::string FormatIdMap(const std::vector<IdRange>& ranges);

// Gives the new user namespace of `pid` its ids; the kernel lets this happen once. The caller is in
// the parent namespace, with CAP_SETUID and CAP_SETGID there.
absl::Status WriteIdMaps(pid_t pid, const IdMaps& maps);

// Moves the single-threaded caller, which may be nobody special, into a user namespace of its own,
// as its root: it can then make mounts and further namespaces. Outside it stays who it was.
absl::Status BecomeRootOfOwnUserNamespace();

// Becomes a user and group that the caller's namespace maps, with no supplementary groups. A
// namespace that maps a single group cannot change groups; there they stay as they are.
absl::Status BecomeUser(uid_t user, gid_t group);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_USER_NAMESPACE_H_
