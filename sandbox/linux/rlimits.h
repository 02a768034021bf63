// Resource limits a process puts on itself. Only ever lower: hard limits go down with the soft
// ones, and a limit that is tighter already stays.

#ifndef CLOISTER_SANDBOX_LINUX_RLIMITS_H_
#define CLOISTER_SANDBOX_LINUX_RLIMITS_H_

#include <sys/types.h>

#include <cstdint>

#include "absl/status/status.h"
#include "cloister/internal/v1/guest.pb.h"

namespace cloister::sandbox {

// Bytes of stack per sandbox: what CPython's recursion guard is tuned for.
inline constexpr int64_t kStackBytes = int64_t{8} << 20;

// Lowers one limit (an RLIMIT_ constant), soft and hard, to `value` unless it is lower already.
absl::Status LowerRlimit(int resource, int64_t value);

// What every sandbox gets when it is confined, whatever its program: no core files, no real-time
// priority, no message queues, 64 KiB of locked memory, 512 signals and timers in flight,
// kStackBytes of stack.
absl::Status ApplyBaseRlimits();

// What one program gets, when it arrives. Fields that are 0 leave their limit alone. RLIMIT_CPU's
// hard limit is a second above the soft one, so that SIGXCPU comes before SIGKILL.
absl::Status ApplyProgramRlimits(const internal::v1::GuestLimits& limits);

// The same for another process, which needs its uid or CAP_SYS_RESOURCE over it.
absl::Status ApplyProgramRlimitsTo(pid_t pid, const internal::v1::GuestLimits& limits);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_RLIMITS_H_
