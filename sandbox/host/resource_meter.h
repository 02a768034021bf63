// What a sandbox uses, as the host sees it: the first process's CPU clock, or the cgroup's where
// there may be more processes, and the memory cgroup's peak or, without one, the sampled resident
// set. (Kills for lack of memory are told by the spawner, at a time when nobody else can have
// caused them.)
//
// Thread-safety: none. Ownership: owns the cgroup's files. Errors: what cannot be read counts as
// unchanged; the process may be gone at any time.

#ifndef CLOISTER_SANDBOX_HOST_RESOURCE_METER_H_
#define CLOISTER_SANDBOX_HOST_RESOURCE_METER_H_

#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "absl/time/time.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

class ResourceMeter {
 public:
  // Where there is no memory cgroup, this is how often SampleMemory should be called.
  static constexpr absl::Duration kSamplePeriod = absl::Milliseconds(20);

  // `pid` in the host's pid namespace; `peak` of the memory cgroup, or none; `cpu`, the time of all
  // that is in the cgroup (cpuacct.usage or cpu.stat), or none.
  ResourceMeter(pid_t pid, UniqueFd peak, UniqueFd cpu);

  // The same for a part of the process, whose processor time `cpu_time` tells.
  ResourceMeter(pid_t pid, UniqueFd peak, std::function<absl::Duration()> cpu_time)
      : pid_(pid), peak_(std::move(peak)), cpu_time_(std::move(cpu_time)) {}

  // Takes the present for zero: what the making of the sandbox used is not the program's.
  void Start();

  // Of the process and its threads, or of all processes, since Start. Read without privileges, in a
  // microsecond.
  absl::Duration CpuTime();

  // Processor time that a whole life's sum leaves to the program.
  absl::Duration SinceStart(absl::Duration whole_life) const;

  // The memory cgroup's file; -1 where there is none.
  int peak_file() const { return peak_.get(); }
  // Whether there is no memory cgroup.
  bool must_sample() const { return !peak_; }

  // Memory above that at Start, now. Only where it must be sampled.
  int64_t SampleMemory();

  // The cgroup's figure, or the highest sample.
  int64_t PeakMemory();

 private:
  // Since the sandbox began.
  absl::Duration ReadCpuTime() const;

  const pid_t pid_;
  const UniqueFd peak_;
  const UniqueFd cpu_;
  const std::function<absl::Duration()> cpu_time_;  // or none
  const std::optional<clockid_t> cpu_clock_;  // of the process
  absl::Duration cpu_before_;  // what the cgroup had counted for those that had it earlier
  absl::Duration cpu_at_start_;
  absl::Duration last_cpu_;
  int64_t resident_at_start_ = 0;
  int64_t peak_sample_ = 0;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_RESOURCE_METER_H_
