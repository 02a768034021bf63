// One program's run in one sandbox, from the hand-over to the reported end: the clocks, the limits
// the host watches by itself, the interrupt ladder, and what is seen of the end.
//
//   kSettingLimits ─▶ kHandingOver ─▶ kRunning ─▶ kEnded           the guest answered, or a limit
//   passed
//         └────────────────┴──────────────┴─▶ kAwaitingExit ─▶ kEnded   the process or its channel
//         ended
//
// Thread-safety: the loop's thread only.
// Ownership: borrows the sandbox's parts. May be destroyed at any time, from inside the observer
// too.

#ifndef CLOISTER_SANDBOX_HOST_EXECUTION_H_
#define CLOISTER_SANDBOX_HOST_EXECUTION_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "cloister/v1/program.pb.h"
#include "sandbox/base/limits.h"
#include "sandbox/host/outcome_classifier.h"
#include "sandbox/host/sandbox_parts.h"
#include "sandbox/sandbox.h"

namespace cloister::sandbox {

class Execution {
 public:
  // How long limits and hand-over may take; the guest reads its program as the first thing it does.
  static constexpr absl::Duration kHandOverTimeout = absl::Seconds(10);
  // How long a process may outlive its channel: the time between the two ends of an ordinary exit.
  static constexpr absl::Duration kChannelGrace = absl::Milliseconds(200);
  // How long the spawner may take to report the end of a process.
  static constexpr absl::Duration kExitTimeout = absl::Seconds(10);
  // The finest step at which processor time is looked at.
  static constexpr absl::Duration kMinCpuCheck = absl::Milliseconds(5);

  Execution(SandboxParts* parts, v1::Program program, const Limits& limits,
            ExecutionObserver* observer);
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;
  ~Execution();

  // Hands the program over, after the spawner has set `kernel_limits` where there are any.
  void Start(const std::optional<internal::v1::SetSandboxLimits>& kernel_limits);

  void OnLimitsSet(const std::string& error);
  void OnProcessExited(const internal::v1::SandboxExited& exit);
  void Interrupt(absl::Duration grace);

  // Ends it with this cause, soon and never inline, unless it ended before.
  void StopLater(HostStop stop, std::string detail);

 private:
  enum class Phase { kSettingLimits, kHandingOver, kRunning, kAwaitingExit, kEnded };

  void HandOver();
  void OnHandedOver(const absl::Status& status);
  void AwaitFrame();
  void OnFrame(GuestChannel::FrameOrError frame);
  // Whether a guest of ours could have said so.
  absl::Status CheckFinished(const internal::v1::Finished& finished) const;

  // Looks at the clocks, and plans the next look.
  void Look();
  void LookAgainAt(absl::Time time);
  HostStop PassedLimit(absl::Time now);
  absl::Time NextLook(absl::Time now) const;

  void Stop(HostStop stop, std::string detail);
  void AwaitExit();
  void OnExitOverdue();
  bool HasStarted() const { return start_ != absl::InfinitePast(); }
  void ReportNeverStarted();
  void Report(Observation seen);
  void FillUsage(const Observation& seen, absl::Time now, v1::Outcome* outcome);

  SandboxParts* const parts_;
  const Limits limits_;
  ExecutionObserver* const observer_;
  absl::Status frame_status_;
  std::string frame_;
  std::vector<std::string> return_files_;

  Phase phase_ = Phase::kSettingLimits;
  absl::Time start_ = absl::InfinitePast();  // of the hand-over's end
  absl::Time phase_deadline_ = absl::InfiniteFuture();
  absl::Time interrupt_deadline_ = absl::InfiniteFuture();
  bool interrupted_ = false;
  absl::Duration grace_ = absl::InfiniteDuration();
  absl::Duration cpu_time_;                // as last looked at
  HostStop exit_cause_ = HostStop::kNone;  // why a process whose exit is awaited was killed
  bool exit_is_forced_ = false;            // by a kill, when kChannelGrace had passed
  std::optional<internal::v1::SandboxExited> exit_;
  Loop::TimerId timer_ = 0;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with the object
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_EXECUTION_H_
