#include "sandbox/linux/rlimits.h"

#include <sys/resource.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"

namespace cloister::sandbox {
namespace {

constexpr int64_t kLockedBytes = int64_t{64} << 10;
// Timers of timer_create count as well.
constexpr int64_t kPendingSignals = 512;

constexpr pid_t kSelf = 0;

absl::Status LowerRlimit(pid_t pid, int resource, int64_t soft, int64_t hard) {
  if (soft < 0 || hard < soft) {
    return absl::InvalidArgumentError(
        absl::StrCat("rlimit ", resource, " cannot be ", soft, " below ", hard));
  }
  rlimit limit = {};
  const auto which = static_cast<__rlimit_resource>(resource);
  if (::prlimit(pid, which, nullptr, &limit) < 0) {
    return SyscallError(absl::StrCat("read rlimit ", resource));
  }
  limit.rlim_max = std::min(limit.rlim_max, static_cast<rlim_t>(hard));
  limit.rlim_cur = std::min({limit.rlim_cur, static_cast<rlim_t>(soft), limit.rlim_max});
  if (::prlimit(pid, which, &limit, nullptr) < 0) {
    return SyscallError(absl::StrCat("set rlimit ", resource));
  }
  return absl::OkStatus();
}

// A limit of 0 in the message means that there is none to apply.
absl::Status LowerUnlessZero(pid_t pid, int resource, int64_t value) {
  return value == 0 ? absl::OkStatus() : LowerRlimit(pid, resource, value, value);
}

}  // namespace

absl::Status LowerRlimit(int resource, int64_t value) {
  return LowerRlimit(kSelf, resource, value, value);
}

absl::Status ApplyBaseRlimits() {
  CLOISTER_RETURN_IF_ERROR(LowerRlimit(RLIMIT_CORE, 0));
  CLOISTER_RETURN_IF_ERROR(LowerRlimit(RLIMIT_RTPRIO, 0));
  CLOISTER_RETURN_IF_ERROR(LowerRlimit(RLIMIT_MSGQUEUE, 0));
  CLOISTER_RETURN_IF_ERROR(LowerRlimit(RLIMIT_MEMLOCK, kLockedBytes));
  CLOISTER_RETURN_IF_ERROR(LowerRlimit(RLIMIT_SIGPENDING, kPendingSignals));
  return LowerRlimit(RLIMIT_STACK, kStackBytes);
}

absl::Status ApplyProgramRlimits(const internal::v1::GuestLimits& limits) {
  return ApplyProgramRlimitsTo(kSelf, limits);
}

absl::Status ApplyProgramRlimitsTo(pid_t pid, const internal::v1::GuestLimits& limits) {
  if (limits.cpu_seconds() != 0) {
    CLOISTER_RETURN_IF_ERROR(
        LowerRlimit(pid, RLIMIT_CPU, limits.cpu_seconds(), limits.cpu_seconds() + 1));
  }
  CLOISTER_RETURN_IF_ERROR(LowerUnlessZero(pid, RLIMIT_NOFILE, limits.open_file_count()));
  CLOISTER_RETURN_IF_ERROR(LowerUnlessZero(pid, RLIMIT_FSIZE, limits.file_bytes()));
  CLOISTER_RETURN_IF_ERROR(LowerUnlessZero(pid, RLIMIT_DATA, limits.data_bytes()));
  return LowerUnlessZero(pid, RLIMIT_NPROC, limits.process_count());
}

}  // namespace cloister::sandbox
