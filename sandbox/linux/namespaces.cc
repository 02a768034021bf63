#include "sandbox/linux/namespaces.h"

#include <sched.h>
#include <unistd.h>

#include "sandbox/base/syscall_status.h"

namespace cloister::sandbox {

absl::Status JoinNamespaces(int pidfd, int flags) {
  return setns(pidfd, flags) == 0 ? absl::OkStatus() : SyscallError("setns");
}

absl::Status SetHostname(std::string_view name) {
  return sethostname(name.data(), name.size()) == 0 ? absl::OkStatus()
                                                    : SyscallError("sethostname");
}

}  // namespace cloister::sandbox
