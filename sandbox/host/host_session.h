// A live sandbox from the host's side: opens the session, runs its cells one after another, and
// notices its end while nothing runs.
//
//   kSettingLimits ─▶ kOpening ─▶ kOpen ─▶ kEnded
//           └────────────┤          └─▶ kAwaitingExit ─▶ kEnded
//                        └─▶ kFailing ─▶ kEnded
//
// Thread-safety: the loop's thread only.
// Ownership: borrows the sandbox's parts. May be destroyed at any time, from inside an observer
// too.

#ifndef CLOISTER_SANDBOX_HOST_HOST_SESSION_H_
#define CLOISTER_SANDBOX_HOST_HOST_SESSION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/host/execution.h"
#include "sandbox/host/exit_watch.h"
#include "sandbox/host/host_mailbox.h"
#include "sandbox/host/idle_cpu_watch.h"
#include "sandbox/host/notebook_exchange.h"
#include "sandbox/host/sandbox_parts.h"
#include "sandbox/sandbox.h"

namespace cloister::sandbox {

class HostSession final : private CellHost {
 public:
  // How long limits, environment and files may take, and imports.
  static constexpr absl::Duration kOpenTimeout = absl::Seconds(10);
  static constexpr absl::Duration kImportTimeout = absl::Seconds(30);
  // What earlier cells may say while none runs; then nothing more is read until the next one.
  static constexpr int64_t kMaxIdleBytes = int64_t{1} << 20;

  HostSession(SandboxParts* parts, SessionSpec spec, SessionObserver* observer);
  HostSession(const HostSession&) = delete;
  HostSession& operator=(const HostSession&) = delete;
  // Of a copy, whose parent had opened it.
  HostSession(SandboxParts* parts, const Limits& limits, int64_t last_cell,
              SessionObserver* observer);
  ~HostSession() override;

  // After the spawner has set `kernel_limits` where there are any.
  void Open(const std::optional<internal::v1::SetSandboxLimits>& kernel_limits);
  // Instead, where the guest opens it by itself: waits for its word.
  void AwaitOpened();
  // Why it was not opened, where an import failed.
  const std::optional<internal::v1::ImportFailed>& import_failed() const { return import_failed_; }

  // As Sandbox says.
  void RunCell(CellSettings settings, GuestProgram program, const Limits& limits,
               ExecutionObserver* observer);
  bool SendInput(int64_t request, std::optional<std::string> text);
  void Ask(NotebookQuestion question, NotebookCallback done);
  void Interrupt(absl::Duration grace);
  void ResumeFrames();

  // How long the programs' own preparations for a copy may take; then the sandbox is lost.
  static constexpr absl::Duration kStandStillTimeout = absl::Seconds(10);
  // Between cells: has the guest stand still; `done` follows once, never inline, unless it is
  // destroyed. FAILED_PRECONDITION: what cannot be copied. Then it waits for ResumeGuest.
  void StandStill(std::function<void(absl::Status)> done);
  void ResumeGuest();
  const Limits& limits() const { return limits_; }
  int64_t last_cell() const { return last_cell_; }

  Mailbox& mailbox() { return mailbox_; }

  // Kills it; what runs ends with this cause.
  void Stop(HostStop stop, const std::string& detail);
  // The same at once, whatever else there was to be seen of its end. Never from a call of its
  // runner's.
  void EndNow(HostStop stop, const std::string& detail);

  // Has the guest end in good order: KeyboardInterrupt to a cell that runs, for `patience` at most,
  // and the channel's end behind it.
  void Leave(absl::Duration patience);
  bool has_ended() const { return phase_ == Phase::kEnded; }
  bool CellIsRunning() const { return cell_ != nullptr && cell_number_ != 0; }
  // As the guest said with the last cell's end.
  const internal::v1::InterpreterMemory& memory() const { return memory_; }

  // Called once, after whoever watches was told that it has ended; never inline. `how` is for
  // people.
  void SetOnEnded(std::function<void(const std::string& how)> on_ended) {
    on_ended_ = std::move(on_ended);
  }

  // From the spawner.
  void OnLimitsSet(const std::string& error);
  void OnSignaled();
  void OnExited(const internal::v1::SandboxExited& exit);

 private:
  enum class Phase { kSettingLimits, kOpening, kFailing, kOpen, kAwaitingExit, kEnded };

  void BeginOpening();
  void SendOpen();
  // Whether the frame is the answer to the opening.
  bool TakeOpening(const internal::v1::GuestFrame& frame);
  absl::Status CheckImportFailed(const internal::v1::ImportFailed& failed) const;
  void AwaitFrame();
  void OnForkPrepared(const internal::v1::ForkPrepared& prepared);
  void EndStandStill(const absl::Status& status);
  void SendNow(const internal::v1::HostFrame& frame);
  void OnFrame(GuestChannel::FrameOrError frame);
  void OnOpenTimeout();
  // An answer to what was asked, else of an earlier cell. May destroy this.
  absl::Status OnIdleFrame(internal::v1::GuestFrame frame);
  // Of an earlier cell.
  absl::Status OnLate(internal::v1::GuestFrame frame);
  // Takes the frame's descriptor.
  absl::Status OnOpenMailbox();

  // Ends the session while nothing runs.
  void AwaitExit();
  // The same while it is opened.
  void AwaitFailedExit();
  void Lose(HostStop stop, std::string detail);
  void Report(Observation seen);
  // Tells who asked that no answer comes.
  void FailExchange();
  void ReportOpened(const absl::Status& status);
  void PostEnded(std::string how);
  void OnIdleCpuExceeded(absl::Duration used);

  // CellHost.
  absl::Status OnCellFrame(internal::v1::GuestFrame frame) override;
  void OnCellFinished(const internal::v1::Finished& finished) override;
  void OnCellEnding(bool preserved, const v1::Outcome& outcome) override;

  SandboxParts* const parts_;
  const Limits limits_;
  SessionObserver* const observer_;
  std::string open_frame_;
  absl::Status open_status_;  // of its encoding
  std::vector<std::string> imports_;
  std::optional<internal::v1::ImportFailed> import_failed_;
  internal::v1::InterpreterMemory memory_;
  Phase phase_ = Phase::kSettingLimits;
  Loop::TimerId timer_ = 0;
  ExitWatch exit_watch_;
  IdleCpuWatch idle_cpu_;
  std::unique_ptr<Execution> cell_;  // the last one, whether or not it has ended
  ExecutionObserver* cell_observer_ = nullptr;
  int64_t cell_number_ = 0;  // of the one that runs; 0 for none
  int64_t last_cell_ = 0;
  int64_t open_request_ = 0;  // number of the input request that waits; 0 for none
  int64_t idle_bytes_ = 0;
  std::unique_ptr<NotebookExchange> exchange_;  // what is asked now
  std::function<void(absl::Status)> on_stand_still_;
  bool stands_still_ = false;
  std::function<void(const std::string& how)> on_ended_;
  HostMailbox mailbox_{parts_->loop, [this](const std::string& detail) {
                         Stop(HostStop::kBrokenProtocol, detail);
                       }};
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with the object
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_HOST_SESSION_H_
