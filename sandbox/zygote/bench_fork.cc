#include "sandbox/zygote/bench_fork.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/base/monotonic_time.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/clone.h"
#include "sandbox/wire/packet_socket.h"

namespace cloister::sandbox {
namespace {

using internal::v1::ZygoteEvent;
using internal::v1::ZygoteRequest;

absl::Status ForkOnce(GuestRuntime& runtime) {
  runtime.BeforeFork();
  absl::StatusOr<CloneResult> clone = CloneProcess();
  if (clone.ok() && clone->in_child) {
    runtime.AfterForkInChild();
    _exit(runtime.Prepare().ok() ? 0 : 1);
  }
  runtime.AfterForkInParent();
  CLOISTER_RETURN_IF_ERROR(clone.status());
  int status = 0;
  if (waitpid(clone->pid, &status, 0) < 0) return SyscallError("waitpid");
  return status == 0 ? absl::OkStatus() : absl::InternalError("a bare fork could not be prepared");
}

int64_t Percentile(const std::vector<int64_t>& sorted, int percent) {
  return sorted.empty() ? 0 : sorted[(sorted.size() - 1) * static_cast<size_t>(percent) / 100];
}

}  // namespace

absl::Status BenchFork(GuestRuntime& runtime, int control, int count) {
  ZygoteRequest request;
  CLOISTER_RETURN_IF_ERROR(ReceivePacket(control, &request, nullptr));
  const int64_t start = MonotonicNanoseconds();
  CLOISTER_ASSIGN_OR_RETURN(std::string version, runtime.WarmUp(request.config().spec()));
  ZygoteEvent event;
  event.mutable_ready()->set_python_version(std::move(version));
  event.mutable_ready()->set_warm_up_nanoseconds(MonotonicNanoseconds() - start);
  CLOISTER_RETURN_IF_ERROR(SendPacket(control, event));
  CLOISTER_RETURN_IF_ERROR(ReceivePacket(control, &request, nullptr));

  std::vector<int64_t> durations;
  durations.reserve(static_cast<size_t>(count));
  const int64_t begin = MonotonicNanoseconds();
  for (int i = 0; i < count; ++i) {
    const int64_t before = MonotonicNanoseconds();
    CLOISTER_RETURN_IF_ERROR(ForkOnce(runtime));
    durations.push_back(MonotonicNanoseconds() - before);
  }
  const int64_t elapsed = MonotonicNanoseconds() - begin;
  std::sort(durations.begin(), durations.end());
  internal::v1::BenchForkResult result;
  result.set_count(count);
  result.set_elapsed_nanoseconds(elapsed);
  result.set_p50_nanoseconds(Percentile(durations, 50));
  result.set_p99_nanoseconds(Percentile(durations, 99));
  return SendPacket(control, result);
}

}  // namespace cloister::sandbox
