#include "sandbox/host/execution.h"

#include <signal.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/compiled_program.h"
#include "sandbox/base/foreign_text.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/host/guest_limits.h"
#include "sandbox/host/notebook_frame.h"
#include "sandbox/host/typed_value.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {
namespace {

void SetDuration(absl::Duration value, google::protobuf::Duration* proto) {
  absl::Duration rest;
  proto->set_seconds(absl::IDivDuration(value, absl::Seconds(1), &rest));
  proto->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
}

// Of a guest's words in a text of ours.
constexpr size_t kMaxQuotedBytes = 200;

// Asked for once: the answer is read from a file.
int Cores() {
  static const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return cores;
}

constexpr char kEndedBefore[] = "the sandbox ended before it had its program";

}  // namespace

Execution::Execution(SandboxParts* parts, internal::v1::HostFrame frame, const Limits& limits,
                     ExecutionObserver* observer, CellHost* session)
    : parts_(parts), limits_(limits), observer_(observer), session_(session), exit_watch_(parts) {
  if (session_ == nullptr) {
    internal::v1::GuestLimits* guest = frame.mutable_run_program()->mutable_limits();
    *guest = GuestLimitsOf(limits, *parts);
    guest->set_cpu_seconds(CpuRlimitSeconds(limits));
  }
  const v1::Program& program =
      session_ == nullptr ? frame.run_program().program() : frame.execute_cell().program();
  return_files_.assign(program.return_files().begin(), program.return_files().end());
  max_compiled_bytes_ =
      frame.run_program().compile_only() ? MaxCompiledBytes(program.code().size()) : 0;
  wants_typed_value_ = program.value_form() == v1::VALUE_FORM_TYPED;
  cell_ = frame.execute_cell().number();
  absl::StatusOr<std::string> encoded = EncodeFrame(frame, kMaxHostFrameBytes);
  frame_status_ = encoded.status();
  if (encoded.ok()) frame_ = *std::move(encoded);
}

Execution::~Execution() { parts_->loop->Cancel(timer_); }

void Execution::Start(const std::optional<internal::v1::SetSandboxLimits>& kernel_limits) {
  if (!frame_status_.ok()) {
    return StopLater(HostStop::kNeverStarted, std::string(frame_status_.message()));
  }
  phase_deadline_ = parts_->loop->Now() + kHandOverTimeout;
  AwaitFrame();
  if (kernel_limits.has_value()) {
    parts_->control->SetLimits(*kernel_limits);
  } else if (parts_->unanswered_signals == 0) {
    return HandOver();
  }
  LookAgainAt(phase_deadline_);
}

void Execution::OnLimitsSet(const std::string& error) {
  if (phase_ != Phase::kPreparing) return;
  if (!error.empty()) {
    return Stop(HostStop::kNeverStarted, absl::StrCat("its limits could not be set: ", error));
  }
  HandOver();
}

void Execution::OnSignaled() {
  if (session_ != nullptr && phase_ == Phase::kPreparing && parts_->unanswered_signals == 0) {
    HandOver();
  }
}

void Execution::HandOver() {
  phase_ = Phase::kHandingOver;
  parts_->channel.AllowLongFrames();
  parts_->meter.Start();
  // What is sent at once may be done before the sender looks at a clock again.
  sending_since_ = parts_->loop->Now();
  parts_->channel.Send(std::move(frame_),
                       [this](const absl::Status& status) { OnHandedOver(status); });
  sending_since_ = absl::InfinitePast();
  if (phase_ == Phase::kHandingOver) LookAgainAt(phase_deadline_);
}

void Execution::OnHandedOver(const absl::Status& status) {
  if (phase_ != Phase::kHandingOver) return;
  if (!status.ok()) return AwaitExit();
  phase_ = Phase::kRunning;
  const bool was_sent_at_once = sending_since_ != absl::InfinitePast();
  start_ = was_sent_at_once ? sending_since_ : parts_->loop->Now();
  parts_->output.Start(
      limits_.output_bytes, observer_,
      session_ != nullptr ? OutputReader::PastLimit::kDiscard : OutputReader::PastLimit::kStop,
      [this] { OnOverflow(); });
  if (ladder_.TakeSignal(start_)) parts_->SendSignal(SIGINT);
  LookAgainAt(NextLook(start_));
}

void Execution::AwaitFrame() {
  parts_->channel.AwaitFrame(
      [this](GuestChannel::FrameOrError frame) { OnFrame(std::move(frame)); });
}

void Execution::OnFrame(GuestChannel::FrameOrError frame) {
  const std::weak_ptr<char> alive = alive_;
  HandleFrame(std::move(frame));
  if (alive.expired() || phase_ == Phase::kAwaitingExit || phase_ == Phase::kEnded) return;
  // What a cell shows is held back as its output is.
  frames_left_ = parts_->output.paused();
  if (!frames_left_) AwaitFrame();
}

void Execution::ResumeFrames() {
  if (!std::exchange(frames_left_, false)) return;
  if (phase_ != Phase::kAwaitingExit && phase_ != Phase::kEnded) AwaitFrame();
}

void Execution::HandleFrame(GuestChannel::FrameOrError frame) {
  if (absl::IsOutOfRange(frame.status())) return AwaitExit();
  if (!frame.ok()) return Stop(HostStop::kBrokenProtocol, std::string(frame.status().message()));
  if (phase_ == Phase::kRunning && frame->has_setup_failed()) {
    // By now a program may be speaking in the guest's name: this is no failure that the host saw.
    return Stop(HostStop::kLost,
                absl::StrCat("the interpreter says that it could not begin: ",
                             ForeignLine(frame->setup_failed().message(), kMaxQuotedBytes)));
  }
  if (session_ != nullptr && !frame->has_finished()) {
    const std::weak_ptr<char> alive = alive_;
    absl::Status status = session_->OnCellFrame(*std::move(frame));
    if (alive.expired() || status.ok()) return;
    return Stop(HostStop::kBrokenProtocol, std::string(status.message()));
  }
  if (phase_ != Phase::kRunning || !frame->has_finished()) {
    return Stop(HostStop::kBrokenProtocol, "a frame out of turn");
  }
  if (absl::Status status = CheckFinished(frame->finished()); !status.ok()) {
    return Stop(HostStop::kBrokenProtocol, std::string(status.message()));
  }
  if (absl::Status status = TakeValue(frame->mutable_finished()); !status.ok()) {
    return Stop(HostStop::kBrokenProtocol, std::string(status.message()));
  }
  if (session_ != nullptr) session_->OnCellFinished(frame->finished());
  Observation seen;
  seen.finished = std::move(*frame->mutable_finished());
  Report(std::move(seen));
}

absl::Status Execution::TakeValue(internal::v1::Finished* finished) {
  if (returns_clone_) {
    CLOISTER_ASSIGN_OR_RETURN(value_clone_, TakeValueClone(finished));
  }
  return TakeTypedValue(finished);
}

bool Execution::TakeLastFrames() {
  const std::weak_ptr<char> alive = alive_;
  for (int i = 0; i < kMaxLastFrames; ++i) {
    std::optional<GuestChannel::FrameOrError> frame = parts_->channel.Poll();
    if (!frame.has_value()) return false;
    HandleFrame(*std::move(frame));
    if (alive.expired() || phase_ != Phase::kRunning) return true;
  }
  return false;
}

absl::Status Execution::CheckFinished(const internal::v1::Finished& finished) const {
  if (finished.kind() == internal::v1::Finished::KIND_UNSPECIFIED ||
      !internal::v1::Finished::Kind_IsValid(finished.kind())) {
    return absl::DataLossError("an end of no known kind");
  }
  if (finished.cell() != cell_) return absl::DataLossError("the end of another cell");
  // A client may store what comes back under the name it comes with.
  if (static_cast<size_t>(finished.files_size()) > return_files_.size()) {
    return absl::DataLossError("more files than were asked for");
  }
  for (const v1::ReturnedFile& file : finished.files()) {
    if (std::find(return_files_.begin(), return_files_.end(), file.path()) == return_files_.end()) {
      return absl::DataLossError("a file that was not asked for");
    }
  }
  if (!wants_typed_value_ && (!finished.value_clone().empty() || !finished.clone_error().empty())) {
    return absl::DataLossError("a typed value that was not asked for");
  }
  if (finished.compiled().size() > max_compiled_bytes_) return absl::DataLossError("unasked code");
  return CheckUntypedValue(finished.value());
}

void Execution::Interrupt(absl::Duration grace) {
  if (phase_ == Phase::kEnded) return;
  if (grace <= absl::ZeroDuration()) return StopLater(HostStop::kInterruptAtOnce, "");
  if (phase_ != Phase::kAwaitingExit) Ask(HostStop::kInterruptGrace, grace);
}

void Execution::Ask(HostStop cause, absl::Duration grace) {
  const absl::Time now = parts_->loop->Now();
  ladder_.Ask(cause, grace, now);
  // The guest can answer from the moment it has its program.
  if (phase_ == Phase::kRunning && ladder_.TakeSignal(now)) parts_->SendSignal(SIGINT);
  LookAgainAt(NextLook(now));
}

void Execution::OnOverflow() {
  if (session_ == nullptr) return Stop(HostStop::kOutput, "");
  Ask(HostStop::kOutput, kLimitGrace);
}

void Execution::LookAgainAt(absl::Time time) {
  parts_->loop->Cancel(timer_);
  timer_ = parts_->loop->CallAfter(time - parts_->loop->Now(), [this] { Look(); });
}

void Execution::Look() {
  const absl::Time now = parts_->loop->Now();
  if (phase_ == Phase::kAwaitingExit) return Report(Observation());
  HostStop stop = PassedLimit(now);
  if (session_ != nullptr && (stop == HostStop::kCpuTime || stop == HostStop::kWallTime)) {
    if (!ladder_.limit_passed()) return Ask(stop, kLimitGrace);
    stop = HostStop::kNone;
  }
  if (stop == HostStop::kNone && ladder_.IsOver(now)) stop = ladder_.cause();
  if (stop != HostStop::kNone) {
    return Stop(stop, stop == HostStop::kNeverStarted ? "the guest did not take its program" : "");
  }
  if (phase_ == Phase::kRunning && ladder_.TakeSignal(now)) parts_->SendSignal(SIGINT);
  LookAgainAt(NextLook(now));
}

HostStop Execution::PassedLimit(absl::Time now) {
  if (phase_ != Phase::kRunning) {
    return now >= phase_deadline_ ? HostStop::kNeverStarted : HostStop::kNone;
  }
  cpu_time_ = parts_->meter.CpuTime();
  if (parts_->meter.must_sample() && parts_->meter.SampleMemory() > limits_.memory_bytes) {
    return HostStop::kMemory;
  }
  if (cpu_time_ >= limits_.cpu_time) return HostStop::kCpuTime;
  return now >= start_ + limits_.wall_time ? HostStop::kWallTime : HostStop::kNone;
}

absl::Time Execution::NextLook(absl::Time now) const {
  if (phase_ != Phase::kRunning) return std::min(phase_deadline_, ladder_.deadline());
  absl::Time next = ladder_.next_step();
  if (!ladder_.limit_passed()) {
    // The earliest moment at which all cores together could have used up what is left.
    const absl::Duration cpu_left = (limits_.cpu_time - cpu_time_) / Cores();
    next = std::min({next, now + std::max(cpu_left, kMinCpuCheck), start_ + limits_.wall_time});
  }
  if (parts_->meter.must_sample()) next = std::min(next, now + ResourceMeter::kSamplePeriod);
  return next;
}

void Execution::StopLater(HostStop stop, std::string detail) {
  if (phase_ == Phase::kEnded) return;
  const std::weak_ptr<char> alive = alive_;
  parts_->loop->Post([this, alive, stop, detail = std::move(detail)] {
    if (!alive.expired()) Stop(stop, detail);
  });
}

void Execution::Stop(HostStop stop, std::string detail) {
  if (phase_ == Phase::kEnded) return;
  // What ended before the host could end it keeps its own cause; after these two, nothing is
  // learnt.
  if (stop != HostStop::kBrokenProtocol && stop != HostStop::kLost) {
    if (phase_ == Phase::kAwaitingExit) return parts_->control->Kill(parts_->id);
    if (phase_ == Phase::kRunning) {
      if (TakeLastFrames()) return;
      if (parts_->ProcessHasEnded()) return AwaitExit();
    }
  }
  EndNow(stop, std::move(detail));
}

void Execution::EndNow(HostStop stop, std::string detail) {
  if (phase_ == Phase::kEnded) return;
  parts_->control->Kill(parts_->id);
  Observation seen;
  seen.stop = stop;
  seen.stop_detail = std::move(detail);
  Report(std::move(seen));
}

void Execution::AwaitExit() {
  if (phase_ == Phase::kEnded || phase_ == Phase::kAwaitingExit) return;
  if (phase_ == Phase::kPreparing && !exit_watch_.exit().has_value()) {
    return StopLater(HostStop::kNeverStarted, kEndedBefore);
  }
  phase_ = Phase::kAwaitingExit;
  parts_->channel.CancelAwait();
  parts_->loop->Cancel(timer_);
  // Without a program there is no end of one to learn of: no long wait.
  if (!HasStarted()) LookAgainAt(parts_->loop->Now() + ExitWatch::kChannelGrace);
  exit_watch_.Await([this](Observation seen) { Report(std::move(seen)); });
}

void Execution::OnProcessExited(const internal::v1::SandboxExited& exit) {
  if (phase_ == Phase::kEnded) return;
  const bool is_running = phase_ == Phase::kRunning;
  const bool is_awaited = phase_ == Phase::kAwaitingExit;
  exit_watch_.OnExited(exit);
  if (is_awaited) return;  // reported; this may be gone
  // It may have answered before it ended, however unlikely that was read only now.
  if (is_running && TakeLastFrames()) return;
  AwaitExit();
}

void Execution::Report(Observation seen) {
  phase_ = Phase::kEnded;
  const absl::Time now = parts_->loop->Now();
  parts_->loop->Cancel(timer_);
  parts_->channel.CancelAwait();
  const std::weak_ptr<char> alive = alive_;
  if (HasStarted()) parts_->output.Finish();
  if (alive.expired()) return;

  seen.in_session = session_ != nullptr;
  seen.asked = ladder_.cause();
  seen.grace = ladder_.grace();
  seen.limits = limits_;
  seen.output_overflowed = HasStarted() && parts_->output.overflowed();
  seen.cpu_time = parts_->meter.CpuTime();
  if (const auto& exit = exit_watch_.exit(); exit.has_value()) {
    seen.cpu_time = parts_->meter.SinceStart(absl::Nanoseconds(exit->cpu_nanoseconds()));
    seen.oom_kills = exit->oom_kill_count();
  }
  const bool preserved =
      session_ != nullptr && seen.finished.has_value() && !exit_watch_.exit().has_value();
  ExecutionEnd end;
  end.value_clone = std::move(value_clone_);
  if (seen.finished.has_value()) {
    end.files.assign(std::make_move_iterator(seen.finished->mutable_files()->begin()),
                     std::make_move_iterator(seen.finished->mutable_files()->end()));
    end.compiled = std::move(*seen.finished->mutable_compiled());
  }
  v1::Outcome usage;
  FillUsage(seen, now, &usage);
  // Whatever was lost before the start, the program is not to blame; though memory may have run out
  // while the guest took a program that is too large for its limit.
  if (!HasStarted() && (seen.stop == HostStop::kNone || seen.stop == HostStop::kLost ||
                        seen.stop == HostStop::kChannelClosed)) {
    seen.stop = HostStop::kNeverStarted;
    if (seen.stop_detail.empty()) seen.stop_detail = kEndedBefore;
  }
  const bool never_started = seen.stop == HostStop::kNeverStarted;
  end.outcome = ClassifyOutcome(std::move(seen));
  if (never_started && end.outcome.kind() == v1::Outcome::KIND_INTERPRETER_LOST) {
    end.status = absl::InternalError(end.outcome.detail());
    end.outcome.Clear();
  } else {
    end.outcome.MergeFrom(usage);
    end.outcome.set_state_preserved(preserved);
  }
  if (session_ != nullptr) session_->OnCellEnding(preserved, end.outcome);
  observer_->OnFinished(std::move(end));
  if (!alive.expired() && !preserved) parts_->control->Kill(parts_->id);
}

void Execution::FillUsage(const Observation& seen, absl::Time now, v1::Outcome* outcome) {
  const auto& exit = exit_watch_.exit();
  v1::Usage* usage = outcome->mutable_usage();
  usage->set_peak_memory_bytes(exit.has_value() && exit->peak_memory_bytes() > 0
                                   ? exit->peak_memory_bytes()
                                   : parts_->meter.PeakMemory());
  v1::StageTimes* times = outcome->mutable_stage_times();
  const absl::Duration ran = HasStarted() ? now - start_ : absl::ZeroDuration();
  SetDuration(ran, usage->mutable_wall_time());
  SetDuration(ran, times->mutable_ran());
  SetDuration(HasStarted() ? seen.cpu_time : absl::ZeroDuration(), usage->mutable_cpu_time());
  if (!HasStarted()) return;  // the reader's counts are an earlier cell's
  const OutputReader::Count& out = parts_->output.count(OutputStream::kStdout);
  const OutputReader::Count& err = parts_->output.count(OutputStream::kStderr);
  usage->set_stdout_bytes(out.delivered + out.truncated);
  usage->set_stderr_bytes(err.delivered + err.truncated);
  outcome->set_truncated_stdout_bytes(out.truncated);
  outcome->set_truncated_stderr_bytes(err.truncated);
  if (parts_->output.first_output() != absl::InfinitePast()) {
    SetDuration(std::max(parts_->output.first_output() - start_, absl::ZeroDuration()),
                times->mutable_first_output());
  }
}

}  // namespace cloister::sandbox
