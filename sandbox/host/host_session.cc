#include "sandbox/host/host_session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/foreign_text.h"
#include "sandbox/host/cell_frame.h"
#include "sandbox/host/guest_limits.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;
using internal::v1::HostFrame;

// Of what keeps the sandbox from being copied; the last may go past it. An error goes out as a
// header, of which clients take 8 KiB, and names them more than once.
constexpr size_t kObstaclesBytes = 1000;

absl::Status OutOfTurn() { return absl::DataLossError("a frame out of turn"); }

}  // namespace

HostSession::HostSession(SandboxParts* parts, SessionSpec spec, SessionObserver* observer)
    : parts_(parts),
      limits_(spec.limits),
      observer_(observer),
      exit_watch_(parts),
      idle_cpu_(parts, limits_.cpu_time, [this](absl::Duration used) { OnIdleCpuExceeded(used); }) {
  HostFrame frame;
  internal::v1::OpenSession& open = *frame.mutable_open_session();
  *open.mutable_limits() = GuestLimitsOf(spec.limits, *parts);
  for (auto& [name, value] : spec.environment) {
    (*open.mutable_environment())[name] = std::move(value);
  }
  for (v1::File& file : spec.files) *open.add_files() = std::move(file);
  open.mutable_imports()->Assign(spec.imports.begin(), spec.imports.end());
  imports_ = std::move(spec.imports);
  absl::StatusOr<std::string> encoded = EncodeFrame(frame, kMaxHostFrameBytes);
  open_status_ = encoded.status();
  if (encoded.ok()) open_frame_ = *std::move(encoded);
}

HostSession::HostSession(SandboxParts* parts, const Limits& limits, int64_t last_cell,
                         SessionObserver* observer)
    : parts_(parts),
      limits_(limits),
      observer_(observer),
      phase_(Phase::kOpen),
      exit_watch_(parts),
      idle_cpu_(parts, limits_.cpu_time, [this](absl::Duration used) { OnIdleCpuExceeded(used); }),
      last_cell_(last_cell) {
  parts_->channel.AllowLongFrames();
  AwaitFrame();
  idle_cpu_.Begin();
}

HostSession::~HostSession() { parts_->loop->Cancel(timer_); }

// ---- between cells ------------------------------------------------------------------------------

void HostSession::AwaitFrame() {
  parts_->channel.AwaitFrame(
      [this](GuestChannel::FrameOrError frame) { OnFrame(std::move(frame)); });
}

void HostSession::OnFrame(GuestChannel::FrameOrError frame) {
  if (absl::IsOutOfRange(frame.status())) return AwaitExit();
  if (!frame.ok()) {
    return Lose(HostStop::kBrokenProtocol, std::string(frame.status().message()));
  }
  if (frame->has_open_mailbox()) {
    const absl::Status opened = OnOpenMailbox();
    if (!opened.ok()) return Lose(HostStop::kBrokenProtocol, std::string(opened.message()));
    return AwaitFrame();
  }
  if (phase_ == Phase::kOpening && TakeOpening(*frame)) return;
  if (on_stand_still_ != nullptr && frame->has_fork_prepared()) {
    AwaitFrame();
    return OnForkPrepared(frame->fork_prepared());
  }
  idle_bytes_ += static_cast<int64_t>(frame->ByteSizeLong());
  const std::weak_ptr<char> alive = alive_;
  absl::Status status =
      phase_ == Phase::kOpen && !stands_still_ ? OnIdleFrame(*std::move(frame)) : OutOfTurn();
  if (alive.expired()) return;
  if (!status.ok()) return Lose(HostStop::kBrokenProtocol, std::string(status.message()));
  if (idle_bytes_ <= kMaxIdleBytes && !CellIsRunning()) AwaitFrame();
}

absl::Status HostSession::OnIdleFrame(GuestFrame frame) {
  if (exchange_ == nullptr) return OnLate(std::move(frame));
  auto answer = exchange_->Read(frame);
  if (!answer.ok()) return answer.status();
  if (!answer->has_value()) return OnLate(std::move(frame));
  const NotebookCallback done = exchange_->TakeCallback();
  exchange_.reset();
  done(**std::move(answer));  // may destroy this
  return absl::OkStatus();
}

// Also while its imports are at work: they may start threads.
absl::Status HostSession::OnOpenMailbox() {
  if (stands_still_ || (phase_ != Phase::kOpening && phase_ != Phase::kOpen)) return OutOfTurn();
  return mailbox_.Open(parts_->channel.TakeDescriptor());
}

absl::Status HostSession::OnLate(GuestFrame frame) {
  absl::StatusOr<LateFrame> late = TakeLateFrame(std::move(frame));
  if (!late.ok()) return late.status();
  if (late->cell <= 0 || late->cell > last_cell_) return OutOfTurn();
  observer_->OnLateOutput(late->cell, std::move(late->output));
  return absl::OkStatus();
}

// ---- copies -------------------------------------------------------------------------------------

void HostSession::StandStill(std::function<void(absl::Status)> done) {
  on_stand_still_ = std::move(done);
  if (phase_ != Phase::kOpen || CellIsRunning()) {
    return EndStandStill(absl::UnavailableError("the sandbox is not at rest"));
  }
  timer_ = parts_->loop->CallAfter(kStandStillTimeout, [this] {
    Lose(HostStop::kLost, "what its programs registered to run before a fork did not end");
  });
  HostFrame frame;
  frame.mutable_prepare_fork();
  SendNow(frame);
  idle_bytes_ = 0;
  AwaitFrame();
}

void HostSession::OnForkPrepared(const internal::v1::ForkPrepared& prepared) {
  stands_still_ = prepared.obstacles().empty();
  if (stands_still_) return EndStandStill(absl::OkStatus());
  std::string obstacles;
  for (const std::string& one : prepared.obstacles()) {
    if (obstacles.size() >= kObstaclesBytes) break;
    absl::StrAppend(&obstacles, obstacles.empty() ? "" : "; ", ForeignLine(one));
  }
  EndStandStill(absl::FailedPreconditionError(obstacles));
}

void HostSession::EndStandStill(const absl::Status& status) {
  parts_->loop->Cancel(timer_);
  parts_->loop->Post([done = std::exchange(on_stand_still_, nullptr), status,
                      alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired() && done != nullptr) done(status);
  });
}

void HostSession::ResumeGuest() {
  if (!std::exchange(stands_still_, false) || phase_ != Phase::kOpen) return;
  HostFrame frame;
  frame.mutable_resume_parent();
  SendNow(frame);
}

// An error shows as the channel's end.
void HostSession::SendNow(const HostFrame& frame) {
  absl::StatusOr<std::string> encoded = EncodeFrame(frame, kMaxHostFrameBytes);
  if (encoded.ok()) parts_->channel.Send(*std::move(encoded), [](const absl::Status&) {});
}

// ---- cells --------------------------------------------------------------------------------------

void HostSession::RunCell(CellSettings settings, GuestProgram program, const Limits& limits,
                          ExecutionObserver* observer) {
  HostFrame frame;
  internal::v1::ExecuteCell& cell = *frame.mutable_execute_cell();
  cell.set_number(settings.number);
  cell.set_execution_count(settings.execution_count);
  cell.set_allow_input(settings.allow_input);
  *cell.mutable_options() = std::move(settings.options);
  *cell.mutable_program() = std::move(program.program);
  const bool returns_clone = program.returns_clone;
  if (program.HasClones()) *cell.mutable_clones() = std::move(program.clones);
  // The sandbox's own limit holds, whatever the cell's resolved ones say.
  Limits in_force = limits;
  in_force.memory_bytes = limits_.memory_bytes;
  cell_number_ = last_cell_ = settings.number;
  open_request_ = 0;
  idle_bytes_ = 0;
  cell_observer_ = observer;
  idle_cpu_.End();
  CellHost* const self = this;  // private to make_unique
  cell_ = std::make_unique<Execution>(parts_, std::move(frame), in_force, observer, self);
  if (returns_clone) cell_->ReturnClone();
  if (phase_ != Phase::kOpen) {
    return cell_->StopLater(HostStop::kNeverStarted, "the sandbox had ended before");
  }
  cell_->Start(std::nullopt);
}

absl::Status HostSession::OnCellFrame(GuestFrame frame) {
  if (frame.has_open_mailbox()) return OnOpenMailbox();
  const int64_t cell = CellOf(frame);
  if (cell != cell_number_ || frame.has_late_output()) return OnLate(std::move(frame));
  absl::StatusOr<v1::ExecutionEvent> event = TakeCellEvent(std::move(frame));
  if (!event.ok()) return event.status();
  if (event->has_input_request()) open_request_ = event->input_request().number();
  cell_observer_->OnCellEvent(*std::move(event));
  return absl::OkStatus();
}

void HostSession::OnCellFinished(const internal::v1::Finished& finished) {
  // Claims: no more than what it can have, and never less than nothing.
  const auto claim = [this](int64_t bytes) {
    return std::clamp<int64_t>(bytes, 0, limits_.memory_bytes);
  };
  memory_.set_current_bytes(claim(finished.memory().current_bytes()));
  memory_.set_peak_bytes(claim(finished.memory().peak_bytes()));
}

void HostSession::OnCellEnding(bool preserved, const v1::Outcome& outcome) {
  cell_number_ = 0;
  open_request_ = 0;
  if (preserved) {
    AwaitFrame();
    idle_cpu_.Begin();
  } else {
    phase_ = Phase::kEnded;
    mailbox_.Close();
    PostEnded(outcome.detail());
  }
}

bool HostSession::SendInput(int64_t request, std::optional<std::string> text) {
  if (open_request_ == 0 || (request != 0 && request != open_request_)) return false;
  HostFrame frame;
  internal::v1::SendInput& input = *frame.mutable_send_input();
  input.set_cell(cell_number_);
  input.set_request(open_request_);
  input.set_end_of_file(!text.has_value());
  if (text.has_value()) input.set_text(*std::move(text));
  absl::StatusOr<std::string> encoded = EncodeFrame(frame, kMaxHostFrameBytes);
  if (!encoded.ok()) return false;
  open_request_ = 0;
  // The guest asked, so it has read all that was sent before.
  parts_->channel.Send(*std::move(encoded), [](const absl::Status&) {});
  return true;
}

// ---- questions ----------------------------------------------------------------------------------

void HostSession::Ask(NotebookQuestion question, NotebookCallback done) {
  exchange_ =
      std::make_unique<NotebookExchange>(parts_, std::move(question), std::move(done), [this] {
        Lose(HostStop::kLost, "a question about its objects did not end when interrupted");
      });
  if (phase_ == Phase::kOpen) {
    // Reading may have stopped at too much late output; there is room for as much again.
    if (idle_bytes_ > kMaxIdleBytes) AwaitFrame();
    idle_bytes_ = 0;
    return exchange_->Start();
  }
  parts_->loop->Post([this, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired()) FailExchange();
  });
}

void HostSession::FailExchange() {
  if (exchange_ == nullptr) return;
  const NotebookCallback done = exchange_->TakeCallback();
  exchange_.reset();
  done(absl::UnavailableError("the sandbox ended"));  // may destroy this
}

void HostSession::Interrupt(absl::Duration grace) {
  if (CellIsRunning()) cell_->Interrupt(grace);
}

void HostSession::ResumeFrames() {
  if (CellIsRunning()) cell_->ResumeFrames();
}

// ---- the end ------------------------------------------------------------------------------------

void HostSession::Stop(HostStop stop, const std::string& detail) {
  if (CellIsRunning()) return cell_->StopLater(stop, detail);
  parts_->loop->Post([this, stop, detail, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired() && !CellIsRunning()) Lose(stop, detail);
  });
}

void HostSession::EndNow(HostStop stop, const std::string& detail) {
  CellIsRunning() ? cell_->EndNow(stop, detail) : Lose(stop, detail);
}

void HostSession::PostEnded(std::string how) {
  parts_->loop->Post([this, how = std::move(how), alive = std::weak_ptr<char>(alive_)] {
    if (alive.expired()) return;
    if (const auto on_ended = std::exchange(on_ended_, nullptr)) on_ended(how);
  });
}

void HostSession::OnSignaled() {
  if (CellIsRunning()) cell_->OnSignaled();
}

void HostSession::OnExited(const internal::v1::SandboxExited& exit) {
  if (CellIsRunning()) return cell_->OnProcessExited(exit);
  exit_watch_.OnExited(exit);
  AwaitExit();
}

void HostSession::AwaitExit() {
  if (phase_ == Phase::kEnded || phase_ == Phase::kAwaitingExit || phase_ == Phase::kFailing)
    return;
  if (phase_ != Phase::kOpen) return AwaitFailedExit();
  phase_ = Phase::kAwaitingExit;
  parts_->channel.CancelAwait();
  exit_watch_.Await([this](Observation seen) { Report(std::move(seen)); });
}

void HostSession::Leave(absl::Duration patience) {
  if (CellIsRunning()) cell_->Interrupt(patience);
  parts_->channel.CloseSending();
}

void HostSession::Lose(HostStop stop, std::string detail) {
  if (phase_ == Phase::kEnded) return;
  parts_->control->Kill(parts_->id);
  if (phase_ == Phase::kSettingLimits || phase_ == Phase::kOpening || phase_ == Phase::kFailing) {
    return ReportOpened(absl::InternalError(detail));
  }
  Observation seen;
  seen.stop = stop;
  seen.stop_detail = std::move(detail);
  Report(std::move(seen));
}

void HostSession::OnIdleCpuExceeded(absl::Duration used) {
  if (phase_ != Phase::kOpen || CellIsRunning()) return;
  Lose(HostStop::kCpuTime,
       absl::StrCat("killed: what its executions left behind used ", absl::FormatDuration(used),
                    " of processor time while none ran; between two it may use ",
                    absl::FormatDuration(limits_.cpu_time), ", as much as one (limits.cpu_time)"));
}

void HostSession::Report(Observation seen) {
  phase_ = Phase::kEnded;
  idle_cpu_.End();
  if (on_stand_still_ != nullptr) EndStandStill(absl::UnavailableError("the sandbox was lost"));
  parts_->channel.CancelAwait();
  seen.limits = limits_;
  if (exit_watch_.exit().has_value()) seen.oom_kills = exit_watch_.exit()->oom_kill_count();
  mailbox_.Close();
  const std::weak_ptr<char> alive = alive_;
  FailExchange();
  if (alive.expired()) return;
  const v1::Outcome outcome = ClassifyOutcome(std::move(seen));
  PostEnded(outcome.detail());
  observer_->OnLost(outcome);
  if (!alive.expired()) parts_->control->Kill(parts_->id);
}

}  // namespace cloister::sandbox
