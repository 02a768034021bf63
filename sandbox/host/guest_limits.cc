#include "sandbox/host/guest_limits.h"

#include <cmath>

#include "absl/time/time.h"

namespace cloister::sandbox {
namespace {

// RLIMIT_DATA counts what the zygote already holds as well, and is not to come before the cgroup:
// it is there for the one allocation that could never fit.
constexpr int64_t kDataSlackBytes = int64_t{128} << 20;

// Where all sandboxes and the server have one user id, RLIMIT_NPROC counts them together: it cannot
// bound one sandbox, but it keeps all of them from taking what the server needs. Container
// platforms commonly allow 1,024 processes or more.
constexpr int64_t kProcessesOfSharedUser = 900;

// 0 leaves the counting to a pids cgroup.
int64_t ProcessRlimit(const Limits& limits, const SandboxParts& parts) {
  if (!parts.meter.must_sample()) return 0;
  return parts.shares_user ? kProcessesOfSharedUser : limits.process_count;
}

}  // namespace

internal::v1::GuestLimits GuestLimitsOf(const Limits& limits, const SandboxParts& parts) {
  internal::v1::GuestLimits guest;
  guest.set_open_file_count(limits.open_file_count);
  guest.set_file_bytes(limits.file_bytes);
  guest.set_data_bytes(limits.memory_bytes + kDataSlackBytes);
  guest.set_process_count(ProcessRlimit(limits, parts));
  return guest;
}

int64_t CpuRlimitSeconds(const Limits& limits) {
  return static_cast<int64_t>(std::ceil(absl::ToDoubleSeconds(limits.cpu_time))) + 1;
}

}  // namespace cloister::sandbox
