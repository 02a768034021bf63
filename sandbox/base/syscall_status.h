// Turns errno into a Status that says what was attempted.

#ifndef CLOISTER_SANDBOX_BASE_SYSCALL_STATUS_H_
#define CLOISTER_SANDBOX_BASE_SYSCALL_STATUS_H_

#include <cerrno>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace cloister::sandbox {

// A Status for `error_number` (errno of the call that just failed unless given), with the canonical
// code of that errno and the message "WHAT: strerror". `what` names the call and its object, e.g.
// "mount tmpfs on /tmp".
inline absl::Status SyscallError(std::string_view what, int error_number = errno) {
  return absl::ErrnoToStatus(error_number, absl::string_view(what.data(), what.size()));
}

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_BASE_SYSCALL_STATUS_H_
