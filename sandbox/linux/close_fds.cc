#include "sandbox/linux/close_fds.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <functional>

#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"

namespace cloister::sandbox {
namespace {

absl::Status CloseRange(unsigned int first, unsigned int last) {
  if (::syscall(SYS_close_range, first, last, 0) < 0) {
    return SyscallError("close_range (needs Linux 5.9)");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CloseAllExcept(absl::Span<const int> kept) {
  const bool ascending =
      std::adjacent_find(kept.begin(), kept.end(), std::greater_equal<int>()) == kept.end();
  if (!ascending || (!kept.empty() && kept.front() < 0)) {
    return absl::InvalidArgumentError("descriptors to keep must be sorted, distinct and open");
  }
  unsigned int next = 0;  // the first that has not been dealt with
  for (const int fd : kept) {
    const unsigned int keep = static_cast<unsigned int>(fd);
    if (next < keep) CLOISTER_RETURN_IF_ERROR(CloseRange(next, keep - 1));
    next = keep + 1;
  }
  return CloseRange(next, UINT_MAX);
}

}  // namespace cloister::sandbox
