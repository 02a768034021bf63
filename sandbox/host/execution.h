// One program's run in one sandbox, from the hand-over to the reported end: the clocks, the limits
// the host watches by itself, the interrupt ladder, and what is seen of the end. The only one of
// its sandbox, or one cell of a session.
//
//   kPreparing ─▶ kHandingOver ─▶ kRunning ─▶ kEnded      the guest answered, or a limit passed
//         └────────────┴──────────────┴─▶ kAwaitingExit ─▶ kEnded   the process or its channel
//         ended
//
// Past wall time, processor time or output a cell is interrupted first, since its session shall go
// on; another program is killed at once.
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
#include "sandbox/host/exit_watch.h"
#include "sandbox/host/interrupt_ladder.h"
#include "sandbox/host/outcome_classifier.h"
#include "sandbox/host/sandbox_parts.h"
#include "sandbox/sandbox.h"

namespace cloister::sandbox {

// The session that a cell is part of.
class CellHost {
 public:
  virtual ~CellHost() = default;

  // A frame that is not the cell's end. An error says why no guest of ours sends it now.
  virtual absl::Status OnCellFrame(internal::v1::GuestFrame frame) = 0;

  // The guest's word of the cell's end, checked; its end follows.
  virtual void OnCellFinished(const internal::v1::Finished& /*finished*/) {}

  // Before the observer is told of the end; the next cell may be started from there.
  virtual void OnCellEnding(bool preserved, const v1::Outcome& outcome) = 0;
};

class Execution {
 public:
  // How long limits and hand-over may take; the guest reads its program as the first thing it does.
  static constexpr absl::Duration kHandOverTimeout = absl::Seconds(10);
  // The finest step at which processor time is looked at.
  static constexpr absl::Duration kMinCpuCheck = absl::Milliseconds(5);
  // How long a cell that passed a limit may take to answer KeyboardInterrupt.
  static constexpr absl::Duration kLimitGrace = absl::Seconds(2);
  // Frames that a guest may have sent before its end is believed not to be among them.
  static constexpr int kMaxLastFrames = 64;

  // `frame` holds run_program or, with a session, execute_cell; the limits from inside are filled
  // in here.
  Execution(SandboxParts* parts, internal::v1::HostFrame frame, const Limits& limits,
            ExecutionObserver* observer, CellHost* session = nullptr);
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;
  ~Execution();

  // Hands the program over, after the spawner has set `kernel_limits` where there are any, and
  // after signals for an earlier cell have been sent.
  void Start(const std::optional<internal::v1::SetSandboxLimits>& kernel_limits);

  // Before Start: as GuestProgram::returns_clone.
  void ReturnClone() { returns_clone_ = true; }

  void OnLimitsSet(const std::string& error);
  void OnSignaled();
  void OnProcessExited(const internal::v1::SandboxExited& exit);
  void Interrupt(absl::Duration grace);

  // Reads frames again, after they were left because output is paused.
  void ResumeFrames();

  // Ends it with this cause, soon and never inline, unless it ended before.
  void StopLater(HostStop stop, std::string detail);

  // The same at once, whatever else there was to be seen of its end. Never from a call of its
  // runner's.
  void EndNow(HostStop stop, std::string detail);

 private:
  enum class Phase { kPreparing, kHandingOver, kRunning, kAwaitingExit, kEnded };

  void HandOver();
  void OnHandedOver(const absl::Status& status);
  void AwaitFrame();
  void OnFrame(GuestChannel::FrameOrError frame);
  void HandleFrame(GuestChannel::FrameOrError frame);
  // Frames that wait to be read. Whether there is nothing left to do here.
  bool TakeLastFrames();
  absl::Status TakeValue(internal::v1::Finished* finished);
  // Whether a guest of ours could have said so.
  absl::Status CheckFinished(const internal::v1::Finished& finished) const;

  // Looks at the clocks, and plans the next look.
  void Look();
  void LookAgainAt(absl::Time time);
  HostStop PassedLimit(absl::Time now);
  absl::Time NextLook(absl::Time now) const;

  void Ask(HostStop cause, absl::Duration grace);
  void OnOverflow();
  void Stop(HostStop stop, std::string detail);
  void AwaitExit();
  bool HasStarted() const { return start_ != absl::InfinitePast(); }
  void Report(Observation seen);
  void FillUsage(const Observation& seen, absl::Time now, v1::Outcome* outcome);

  SandboxParts* const parts_;
  const Limits limits_;
  ExecutionObserver* const observer_;
  CellHost* const session_;
  absl::Status frame_status_;
  std::string frame_;
  int64_t cell_ = 0;
  std::vector<std::string> return_files_;
  bool wants_typed_value_ = false;
  bool returns_clone_ = false;
  std::string value_clone_;
  size_t max_compiled_bytes_ = 0;

  Phase phase_ = Phase::kPreparing;
  bool frames_left_ = false;                         // unread, because output is paused
  absl::Time start_ = absl::InfinitePast();          // when the guest had all of its program
  absl::Time sending_since_ = absl::InfinitePast();  // while it is tried to send it at once
  absl::Time phase_deadline_ = absl::InfiniteFuture();
  InterruptLadder ladder_;
  absl::Duration cpu_time_;  // as last looked at
  ExitWatch exit_watch_;
  Loop::TimerId timer_ = 0;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with the object
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_EXECUTION_H_
