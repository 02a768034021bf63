// From what the host saw of an execution to how it ended: a pure function, so that every
// combination can be tested.

#ifndef CLOISTER_SANDBOX_HOST_OUTCOME_CLASSIFIER_H_
#define CLOISTER_SANDBOX_HOST_OUTCOME_CLASSIFIER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "cloister/internal/v1/guest.pb.h"
#include "cloister/v1/outcome.pb.h"
#include "sandbox/base/limits.h"
#include "sandbox/program_runner.h"

namespace cloister::sandbox {

// Why the host ended an execution, if it did: the first cause it saw.
enum class HostStop {
  kNone,            // it did not
  kBrokenProtocol,  // the guest sent what no guest of ours sends
  kMemory,          // sampled past the limit; the kernel's own kills show in Observation::oom_kills
  kCpuTime,
  kWallTime,
  kOutput,
  kInterruptGrace,  // KeyboardInterrupt was not answered in time
  kInterruptAtOnce,
  kCallerGone,
  kShutdown,
  kDeleted,
  kExpired,
  kRestarted,
  kNeverStarted,   // it could not be given its program; not the program's fault
  kChannelClosed,  // the guest closed its channel and lived on
  kLost,           // nothing more will be learnt of it
};

HostStop HostStopOf(StopReason reason);

// How the first process ended, as waitid(2) tells.
struct ProcessEnd {
  int code = 0;    // CLD_EXITED, CLD_KILLED or CLD_DUMPED
  int status = 0;  // exit status or signal
};

// All that was seen of one execution.
struct Observation {
  HostStop stop = HostStop::kNone;
  // What was wrong; for kBrokenProtocol, kNeverStarted, kLost, and kCpuTime
  // outside executions.
  std::string stop_detail;
  // Why KeyboardInterrupt was sent, if it was: kInterruptGrace for somebody's wish, or the limit
  // that a cell passed; and how long the program had to answer it.
  HostStop asked = HostStop::kNone;
  absl::Duration grace;
  // Whether the guest goes on after the end it tells.
  bool in_session = false;
  // What the guest says of the end; none where it said nothing.
  std::optional<internal::v1::Finished> finished;
  // None where the end is reported before the process has ended.
  std::optional<ProcessEnd> exit;
  bool output_overflowed = false;
  int64_t oom_kills = 0;
  absl::Duration cpu_time;
  Limits limits;
};

// Sets kind, detail, exception, exit_code, signal and value. First cause wins; of those seen at
// once, the order is that of Outcome in outcome.proto.
v1::Outcome ClassifyOutcome(Observation seen);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_OUTCOME_CLASSIFIER_H_
