#include "sandbox/host/execution.h"

#include <signal.h>

#include <algorithm>
#include <cmath>
#include <thread>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {
namespace {

// RLIMIT_DATA counts what the zygote already holds as well, and is not to come before the cgroup:
// it is there for the one allocation that could never fit.
constexpr int64_t kDataSlackBytes = int64_t{128} << 20;

void SetDuration(absl::Duration value, google::protobuf::Duration* proto) {
  absl::Duration rest;
  proto->set_seconds(absl::IDivDuration(value, absl::Seconds(1), &rest));
  proto->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
}

// Where all sandboxes and the server have one user id, RLIMIT_NPROC counts them together: it cannot
// bound one sandbox, but it keeps all of them from taking what the server needs. Container
// platforms commonly allow 1,024 processes or more.
constexpr int64_t kProcessesOfSharedUser = 900;

// 0 leaves the counting to a pids cgroup.
int64_t ProcessRlimit(const Limits& limits, const SandboxParts& parts) {
  if (!parts.meter.must_sample()) return 0;
  return parts.shares_user ? kProcessesOfSharedUser : limits.process_count;
}

// Of a guest's words in a text of ours.
constexpr size_t kMaxQuotedBytes = 200;

// Asked for once: the answer is read from a file.
int Cores() {
  static const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  return cores;
}

constexpr char kEndedBefore[] = "the sandbox ended before it had its program";

void FillGuestLimits(const Limits& limits, int64_t process_rlimit,
                     internal::v1::GuestLimits* guest) {
  // Whole seconds, above the host's own limit.
  guest->set_cpu_seconds(static_cast<int64_t>(std::ceil(absl::ToDoubleSeconds(limits.cpu_time))) +
                         1);
  guest->set_open_file_count(limits.open_file_count);
  guest->set_file_bytes(limits.file_bytes);
  guest->set_data_bytes(limits.memory_bytes + kDataSlackBytes);
  guest->set_process_count(process_rlimit);
}

}  // namespace

Execution::Execution(SandboxParts* parts, v1::Program program, const Limits& limits,
                     ExecutionObserver* observer)
    : parts_(parts),
      limits_(limits),
      observer_(observer),
      return_files_(program.return_files().begin(), program.return_files().end()) {
  internal::v1::HostFrame frame;
  internal::v1::RunProgram* run = frame.mutable_run_program();
  *run->mutable_program() = std::move(program);
  FillGuestLimits(limits, ProcessRlimit(limits, *parts), run->mutable_limits());
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
  if (!kernel_limits.has_value()) return HandOver();
  parts_->control->SetLimits(*kernel_limits);
  LookAgainAt(phase_deadline_);
}

void Execution::OnLimitsSet(const std::string& error) {
  if (phase_ != Phase::kSettingLimits) return;
  if (!error.empty()) {
    return Stop(HostStop::kNeverStarted, absl::StrCat("its limits could not be set: ", error));
  }
  HandOver();
}

void Execution::HandOver() {
  phase_ = Phase::kHandingOver;
  parts_->channel.AllowLongFrames();
  parts_->meter.Start();
  parts_->channel.Send(std::move(frame_),
                       [this](const absl::Status& status) { OnHandedOver(status); });
  if (phase_ == Phase::kHandingOver) LookAgainAt(phase_deadline_);
}

void Execution::OnHandedOver(const absl::Status& status) {
  if (phase_ != Phase::kHandingOver) return;
  if (!status.ok()) return AwaitExit();
  phase_ = Phase::kRunning;
  start_ = parts_->loop->Now();
  parts_->output.Start(limits_.output_bytes, observer_, [this] { Stop(HostStop::kOutput, ""); });
  if (interrupted_) parts_->control->SendSignal(parts_->id, SIGINT);
  LookAgainAt(NextLook(start_));
}

void Execution::AwaitFrame() {
  parts_->channel.AwaitFrame(
      [this](GuestChannel::FrameOrError frame) { OnFrame(std::move(frame)); });
}

void Execution::OnFrame(GuestChannel::FrameOrError frame) {
  if (absl::IsOutOfRange(frame.status())) return AwaitExit();
  if (!frame.ok()) return Stop(HostStop::kBrokenProtocol, std::string(frame.status().message()));
  if (phase_ == Phase::kRunning && frame->has_setup_failed()) {
    // By now a program may be speaking in the guest's name: this is no failure that the host saw.
    return Stop(
        HostStop::kLost,
        absl::StrCat("the interpreter says that it could not begin: ",
                     absl::CHexEscape(frame->setup_failed().message().substr(0, kMaxQuotedBytes))));
  }
  if (phase_ != Phase::kRunning || !frame->has_finished()) {
    return Stop(HostStop::kBrokenProtocol, "a frame out of turn");
  }
  if (absl::Status status = CheckFinished(frame->finished()); !status.ok()) {
    return Stop(HostStop::kBrokenProtocol, std::string(status.message()));
  }
  Observation seen;
  seen.finished = std::move(*frame->mutable_finished());
  Report(std::move(seen));
}

absl::Status Execution::CheckFinished(const internal::v1::Finished& finished) const {
  if (finished.kind() == internal::v1::Finished::KIND_UNSPECIFIED ||
      !internal::v1::Finished::Kind_IsValid(finished.kind())) {
    return absl::DataLossError("an end of no known kind");
  }
  // A client may store what comes back under the name it comes with.
  if (static_cast<size_t>(finished.files_size()) > return_files_.size()) {
    return absl::DataLossError("more files than were asked for");
  }
  for (const v1::ReturnedFile& file : finished.files()) {
    if (std::find(return_files_.begin(), return_files_.end(), file.path()) == return_files_.end()) {
      return absl::DataLossError("a file that was not asked for");
    }
  }
  return absl::OkStatus();
}

void Execution::Interrupt(absl::Duration grace) {
  if (phase_ == Phase::kEnded) return;
  if (grace <= absl::ZeroDuration()) return StopLater(HostStop::kInterruptAtOnce, "");
  // The guest can answer from the moment it has its program.
  if (!std::exchange(interrupted_, true) && phase_ == Phase::kRunning) {
    parts_->control->SendSignal(parts_->id, SIGINT);
  }
  const absl::Time deadline = parts_->loop->Now() + grace;
  if (phase_ == Phase::kAwaitingExit || deadline >= interrupt_deadline_) return;
  interrupt_deadline_ = deadline;
  grace_ = grace;
  LookAgainAt(parts_->loop->Now());
}

void Execution::LookAgainAt(absl::Time time) {
  parts_->loop->Cancel(timer_);
  timer_ = parts_->loop->CallAfter(time - parts_->loop->Now(), [this] { Look(); });
}

void Execution::Look() {
  const absl::Time now = parts_->loop->Now();
  if (phase_ == Phase::kAwaitingExit) return OnExitOverdue();
  const HostStop stop = PassedLimit(now);
  if (stop == HostStop::kNone) return LookAgainAt(NextLook(now));
  Stop(stop, stop == HostStop::kNeverStarted ? "the guest did not take its program" : "");
}

HostStop Execution::PassedLimit(absl::Time now) {
  if (phase_ != Phase::kRunning) {
    if (now >= interrupt_deadline_) return HostStop::kInterruptGrace;
    return now >= phase_deadline_ ? HostStop::kNeverStarted : HostStop::kNone;
  }
  cpu_time_ = parts_->meter.CpuTime();
  if (parts_->meter.must_sample() && parts_->meter.SampleMemory() > limits_.memory_bytes) {
    return HostStop::kMemory;
  }
  if (cpu_time_ >= limits_.cpu_time) return HostStop::kCpuTime;
  if (now >= start_ + limits_.wall_time) return HostStop::kWallTime;
  if (now >= interrupt_deadline_) return HostStop::kInterruptGrace;
  return HostStop::kNone;
}

absl::Time Execution::NextLook(absl::Time now) const {
  if (phase_ != Phase::kRunning) return std::min(phase_deadline_, interrupt_deadline_);
  // The earliest moment at which all cores together could have used up what is left.
  const absl::Duration cpu_left = (limits_.cpu_time - cpu_time_) / Cores();
  absl::Time next = now + std::max(cpu_left, kMinCpuCheck);
  next = std::min({next, start_ + limits_.wall_time, interrupt_deadline_});
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
      if (auto frame = parts_->channel.Poll()) return OnFrame(*std::move(frame));
      if (parts_->ProcessHasEnded()) return AwaitExit();
    }
  }
  parts_->control->Kill(parts_->id);
  Observation seen;
  seen.stop = stop;
  seen.stop_detail = std::move(detail);
  Report(std::move(seen));
}

void Execution::AwaitExit() {
  if (phase_ == Phase::kEnded || phase_ == Phase::kAwaitingExit) return;
  if (phase_ == Phase::kSettingLimits) return StopLater(HostStop::kNeverStarted, kEndedBefore);
  phase_ = Phase::kAwaitingExit;
  parts_->channel.CancelAwait();
  if (exit_.has_value()) return OnProcessExited(*exit_);
  LookAgainAt(parts_->loop->Now() + kChannelGrace);
}

void Execution::OnExitOverdue() {
  if (!HasStarted()) return ReportNeverStarted();
  if (!std::exchange(exit_is_forced_, true)) {
    if (!parts_->ProcessHasEnded()) exit_cause_ = HostStop::kChannelClosed;
    // Whatever an ended process started ends with it.
    parts_->control->Kill(parts_->id);
    return LookAgainAt(parts_->loop->Now() + kExitTimeout);
  }
  Observation seen;
  seen.stop = HostStop::kLost;
  seen.stop_detail = "the interpreter ended, and how was not reported in time";
  Report(std::move(seen));
}

void Execution::OnProcessExited(const internal::v1::SandboxExited& exit) {
  if (phase_ == Phase::kEnded) return;
  exit_ = exit;
  // It may have answered before it ended, however unlikely that was read only now.
  if (phase_ == Phase::kRunning) {
    if (auto frame = parts_->channel.Poll()) return OnFrame(*std::move(frame));
  }
  Observation seen;
  seen.stop = exit_cause_;
  if (!HasStarted()) {
    // Memory may have run out while it took a program that is too large for its limit.
    seen.stop = HostStop::kNeverStarted;
    seen.stop_detail = kEndedBefore;
  }
  if (exit.wait_code() != 0) {
    seen.exit = ProcessEnd{exit.wait_code(), exit.wait_status()};
  } else if (HasStarted()) {
    seen.stop = HostStop::kLost;
    seen.stop_detail = "the interpreter ended together with its zygote";
  }
  Report(std::move(seen));
}

void Execution::ReportNeverStarted() {
  Observation seen;
  seen.stop = HostStop::kNeverStarted;
  seen.stop_detail = kEndedBefore;
  Report(std::move(seen));
}

void Execution::Report(Observation seen) {
  phase_ = Phase::kEnded;
  const absl::Time now = parts_->loop->Now();
  parts_->loop->Cancel(timer_);
  parts_->channel.CancelAwait();
  const std::weak_ptr<char> alive = alive_;
  parts_->output.Finish();
  if (alive.expired()) return;

  seen.interrupted = interrupted_;
  seen.grace = grace_;
  seen.limits = limits_;
  seen.output_overflowed = parts_->output.overflowed();
  seen.cpu_time = parts_->meter.CpuTime();
  if (exit_.has_value()) {
    seen.cpu_time = parts_->meter.SinceStart(absl::Nanoseconds(exit_->cpu_nanoseconds()));
    seen.oom_kills = exit_->oom_kill_count();
  }
  ExecutionEnd end;
  if (seen.finished.has_value()) {
    end.files.assign(std::make_move_iterator(seen.finished->mutable_files()->begin()),
                     std::make_move_iterator(seen.finished->mutable_files()->end()));
  }
  v1::Outcome usage;
  FillUsage(seen, now, &usage);
  // Whatever was lost before the start, the program is not to blame.
  if (!HasStarted() && seen.stop == HostStop::kLost) seen.stop = HostStop::kNeverStarted;
  const bool never_started = seen.stop == HostStop::kNeverStarted;
  end.outcome = ClassifyOutcome(std::move(seen));
  if (never_started && end.outcome.kind() == v1::Outcome::KIND_INTERPRETER_LOST) {
    end.status = absl::InternalError(end.outcome.detail());
    end.outcome.Clear();
  } else {
    end.outcome.MergeFrom(usage);
  }
  observer_->OnFinished(std::move(end));
  if (!alive.expired()) parts_->control->Kill(parts_->id);
}

void Execution::FillUsage(const Observation& seen, absl::Time now, v1::Outcome* outcome) {
  const bool started = HasStarted();
  const OutputReader::Count& out = parts_->output.count(OutputStream::kStdout);
  const OutputReader::Count& err = parts_->output.count(OutputStream::kStderr);
  const absl::Duration ran = started ? now - start_ : absl::ZeroDuration();
  v1::Usage* usage = outcome->mutable_usage();
  SetDuration(ran, usage->mutable_wall_time());
  SetDuration(started ? seen.cpu_time : absl::ZeroDuration(), usage->mutable_cpu_time());
  usage->set_peak_memory_bytes(exit_.has_value() && exit_->peak_memory_bytes() > 0
                                   ? exit_->peak_memory_bytes()
                                   : parts_->meter.PeakMemory());
  usage->set_stdout_bytes(out.delivered + out.truncated);
  usage->set_stderr_bytes(err.delivered + err.truncated);
  outcome->set_truncated_stdout_bytes(out.truncated);
  outcome->set_truncated_stderr_bytes(err.truncated);
  v1::StageTimes* times = outcome->mutable_stage_times();
  SetDuration(ran, times->mutable_ran());
  if (parts_->output.first_output() != absl::InfinitePast()) {
    SetDuration(std::max(parts_->output.first_output() - start_, absl::ZeroDuration()),
                times->mutable_first_output());
  }
}

}  // namespace cloister::sandbox
