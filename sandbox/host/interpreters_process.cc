#include "sandbox/host/interpreters_process.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/foreign_text.h"
#include "sandbox/host/guest_limits.h"
#include "sandbox/host/thread_clock.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;
using internal::v1::HostFrame;

constexpr absl::Duration kOpenTimeout = absl::Seconds(10);

// RLIMIT_DATA counts what each interpreter's thread reserves for its stack and its first heap.
constexpr int64_t kDataBytesOfInterpreter = int64_t{24} << 20;

// Of what C code of all interpreters writes to the process's own stdout and stderr.
constexpr int64_t kMaxDiscardedBytes = int64_t{1} << 20;

absl::Status OutOfTurn() { return absl::DataLossError("a frame out of turn"); }

// By the host, as far as can be told.
bool WasKilled(const internal::v1::SandboxExited& exit) {
  return exit.wait_code() == CLD_KILLED && exit.wait_status() == SIGKILL &&
         exit.oom_kill_count() == 0;
}

class Sink final : public ExecutionObserver {
 public:
  void OnOutput(OutputStream, std::string_view) override {}
  void OnFinished(ExecutionEnd) override {}
};

}  // namespace

InterpretersProcess::InterpretersProcess(std::unique_ptr<MemberProcess> process,
                                         const Limits& limits)
    : process_(std::move(process)), limits_(limits), sink_(std::make_unique<Sink>()) {
  process_->SetUser(this);
}

InterpretersProcess::~InterpretersProcess() {
  process_->SetUser(nullptr);
  process_->parts()->loop->Cancel(open_timer_);
  for (auto& [number, slot] : slots_) process_->parts()->loop->Cancel(slot.end_timer);
}

// ---- opening ------------------------------------------------------------------------------------

void InterpretersProcess::Open(std::function<void(const absl::Status&)> opened) {
  SandboxParts& parts = *process_->parts();
  opened_ = std::move(opened);
  phase_ = Phase::kOpening;
  parts.channel.AllowLongFrames();
  open_timer_ = parts.loop->CallAfter(kOpenTimeout, [this] {
    ReportOpened(absl::InternalError("the interpreters' process did not begin in time"));
  });
  HostFrame frame;
  internal::v1::GuestLimits& limits = *frame.mutable_serve_interpreters()->mutable_limits();
  limits = GuestLimitsOf(limits_, parts);
  limits.set_data_bytes(limits.data_bytes() + kMostInterpreters * kDataBytesOfInterpreter);
  AwaitFrame();
  RenewDiscard();
  Say(frame);
}

void InterpretersProcess::ReportOpened(const absl::Status& status) {
  process_->parts()->loop->Cancel(open_timer_);
  phase_ = status.ok() ? Phase::kOpen : Phase::kEnded;
  if (const auto opened = std::exchange(opened_, nullptr)) opened(status);  // may destroy this
}

void InterpretersProcess::RenewDiscard() {
  OutputReader& output = process_->parts()->output;
  output.Finish();
  output.Start(kMaxDiscardedBytes, sink_.get(), OutputReader::PastLimit::kStop, [] {});
}

// ---- what is said -------------------------------------------------------------------------------

void InterpretersProcess::Say(const HostFrame& frame, std::vector<UniqueFd> descriptors) {
  absl::StatusOr<std::string> encoded = EncodeFrame(frame, kMaxHostFrameBytes);
  if (!encoded.ok()) return;  // none is as long as that
  outgoing_.push_back({*std::move(encoded), std::move(descriptors)});
  if (outgoing_.size() == 1) SendNext();
}

void InterpretersProcess::SendNext() {
  Outgoing& next = outgoing_.front();
  process_->parts()->channel.Send(
      std::move(next.frame),
      [this](const absl::Status&) {
        // An error shows as the channel's end.
        outgoing_.pop_front();
        if (!outgoing_.empty()) SendNext();
      },
      std::move(next.descriptors));
}

int64_t InterpretersProcess::Add(internal::v1::CreateInterpreter request,
                                 std::vector<UniqueFd> guest_ends, Resident* resident) {
  const int64_t number = next_number_++;
  slots_[number].resident = resident;
  HostFrame frame;
  *frame.mutable_create_interpreter() = std::move(request);
  frame.mutable_create_interpreter()->set_interpreter(number);
  Say(frame, std::move(guest_ends));
  return number;
}

void InterpretersProcess::Interrupt(int64_t number) {
  const auto slot = slots_.find(number);
  if (slot == slots_.end() || phase_ != Phase::kOpen) return;
  // One at a time: they are repeated anyway, and a guest may be slow to answer.
  if (slot->second.interrupts++ > 0) return;
  HostFrame frame;
  frame.mutable_interrupt_interpreter()->set_interpreter(number);
  Say(frame);
}

void InterpretersProcess::End(int64_t number) {
  const auto found = slots_.find(number);
  if (found == slots_.end() || phase_ != Phase::kOpen) return;
  Slot& slot = found->second;
  if (std::exchange(slot.end_asked, true)) return;
  AsioLoop* const loop = process_->parts()->loop;
  slot.end_deadline = loop->Now() + kEndTimeout;
  slot.end_timer = loop->CallAfter(kEndTimeout, [this, number] { Kill(number); });
  ReadThreadClock(&slot);
  HostFrame frame;
  frame.mutable_end_interpreter()->set_interpreter(number);
  Say(frame);
}

void InterpretersProcess::Kill(int64_t number) {
  const auto slot = slots_.find(number);
  if (slot == slots_.end() || phase_ == Phase::kEnded) return;
  const bool has_time = process_->parts()->loop->Now() < slot->second.end_deadline;
  if (slot->second.end_asked && has_time) return;
  if (culprit_ == 0) culprit_ = number;
  process_->Kill();
}

void InterpretersProcess::Leave(int64_t number) {
  const auto slot = slots_.find(number);
  if (slot == slots_.end()) return;
  slot->second.resident = nullptr;
  phase_ == Phase::kOpen ? End(number) : Forget(number);
}

void InterpretersProcess::Forget(int64_t number) {
  auto slot = slots_.extract(number);
  if (slot.empty()) return;
  process_->parts()->loop->Cancel(slot.mapped().end_timer);
  ended_cpu_ += slot.mapped().thread_cpu;
  if (slots_.empty() && on_empty_ != nullptr) on_empty_();  // may destroy this
}

// ---- what is heard ------------------------------------------------------------------------------

void InterpretersProcess::AwaitFrame() {
  process_->parts()->channel.AwaitFrame(
      [this](const GuestChannel::FrameOrError& frame) { OnFrame(frame); });
}

void InterpretersProcess::OnFrame(const GuestChannel::FrameOrError& frame) {
  const auto self = shared_from_this();
  if (absl::IsOutOfRange(frame.status())) {
    // It ends, or has closed its channel; of its end the spawner tells.
    process_->Kill();
    if (phase_ == Phase::kOpening) {
      ReportOpened(absl::InternalError("the interpreters' process ended while it began"));
    }
    return;
  }
  const absl::Status status = frame.ok() ? TakeFrame(*frame) : frame.status();
  if (!status.ok()) return Break(std::string(status.message()));
  if (phase_ == Phase::kOpen) AwaitFrame();
}

absl::Status InterpretersProcess::TakeFrame(const GuestFrame& frame) {
  if (phase_ == Phase::kOpening) {
    if (frame.has_session_opened()) {
      ReportOpened(absl::OkStatus());
      return absl::OkStatus();
    }
    if (!frame.has_setup_failed()) return OutOfTurn();
    const std::string message = ForeignLine(frame.setup_failed().message());
    ReportOpened(frame.setup_failed().stage() == "interpreters" ? absl::UnimplementedError(message)
                                                                : absl::InternalError(message));
    return absl::OkStatus();
  }
  switch (frame.frame_case()) {
    case GuestFrame::kInterpreterCreated:
      return OnCreated(frame.interpreter_created());
    case GuestFrame::kInterpreterFailed:
      return OnFailed(frame.interpreter_failed());
    case GuestFrame::kInterpreterInterrupted:
      return OnInterrupted(frame.interpreter_interrupted().interpreter());
    case GuestFrame::kInterpreterEnded:
      return OnEnded(frame.interpreter_ended().interpreter());
    default:
      return OutOfTurn();
  }
}

absl::Status InterpretersProcess::OnCreated(const internal::v1::InterpreterCreated& created) {
  const auto slot = slots_.find(created.interpreter());
  if (slot == slots_.end() || std::exchange(slot->second.is_made, true)) return OutOfTurn();
  // A claim: it has to be a thread of this process, and no other interpreter's. Otherwise what the thread
  // uses is every interpreter's.
  const std::optional<pid_t> thread = FindThread(process_->parts()->host_pid, created.thread_id());
  if (thread.has_value() && !KnowsThread(*thread)) slot->second.thread = *thread;
  return absl::OkStatus();
}

absl::Status InterpretersProcess::OnFailed(const internal::v1::InterpreterFailed& failed) {
  const auto slot = slots_.find(failed.interpreter());
  if (slot == slots_.end() || slot->second.is_made) return OutOfTurn();
  Resident* const resident = slot->second.resident;
  Forget(failed.interpreter());
  if (resident != nullptr) resident->OnFailed(absl::InternalError(ForeignLine(failed.message())));
  return absl::OkStatus();
}

absl::Status InterpretersProcess::OnInterrupted(int64_t number) {
  const auto slot = slots_.find(number);
  const int count = slot == slots_.end() ? 0 : std::exchange(slot->second.interrupts, 0);
  if (count == 0) return OutOfTurn();
  if (slot->second.resident != nullptr) slot->second.resident->OnInterrupted(count);
  return absl::OkStatus();
}

absl::Status InterpretersProcess::OnEnded(int64_t number) {
  const auto slot = slots_.find(number);
  if (slot == slots_.end() || !slot->second.end_asked) return OutOfTurn();
  Resident* const resident = slot->second.resident;
  Forget(number);
  if (resident != nullptr) resident->OnEnded();
  return absl::OkStatus();
}

// ---- ends ---------------------------------------------------------------------------------------

void InterpretersProcess::Break(const std::string& what) {
  process_->Kill();
  if (phase_ == Phase::kOpening) return ReportOpened(absl::InternalError(what));
  phase_ = Phase::kEnded;
  TellAll([&](int64_t, Resident* resident) {
    resident->OnProcessLost(HostStop::kBrokenProtocol, what);
  });
}

void InterpretersProcess::OnExited(const internal::v1::SandboxExited& exit) {
  const auto self = shared_from_this();
  if (phase_ == Phase::kEnded) return;
  if (phase_ == Phase::kOpening) {
    return ReportOpened(exit.oom_kill_count() > 0
                            ? absl::ResourceExhaustedError("memory ran out while it began")
                            : absl::InternalError("the interpreters' process ended while it began"));
  }
  phase_ = Phase::kEnded;
  internal::v1::SandboxExited of_thread = exit;
  of_thread.set_cpu_nanoseconds(0);  // it is the whole process's
  // Their channels end before the process does, and on that somebody may have asked for a kill that came too late.
  const bool ended_by_itself = culprit_ == 0 || !WasKilled(exit);
  TellAll([&](int64_t number, Resident* resident) {
    if (ended_by_itself || culprit_ == number) return resident->OnProcessExited(of_thread);
    resident->OnProcessLost(HostStop::kLost,
                            "its process was killed: another interpreter in it could not be ended "
                            "otherwise");
  });
}

void InterpretersProcess::OnSandboxEnded(HostStop stop, const std::string& detail) {
  const auto self = shared_from_this();
  if (phase_ == Phase::kOpening) {
    return ReportOpened(absl::UnavailableError("the sandbox has ended"));
  }
  if (std::exchange(phase_, Phase::kEnded) == Phase::kEnded) return;
  TellAll([&](int64_t, Resident* resident) { resident->OnSandboxEnded(stop, detail); });
}

void InterpretersProcess::TellAll(const std::function<void(int64_t, Resident*)>& told) {
  const auto self = shared_from_this();
  std::vector<int64_t> numbers;
  for (const auto& [number, slot] : slots_) numbers.push_back(number);
  for (int64_t number : numbers) {
    const auto slot = slots_.find(number);
    if (slot == slots_.end()) continue;
    if (slot->second.resident != nullptr) told(number, slot->second.resident);
  }
  // Those whose resident is gone end with it; the others leave when they like.
  for (int64_t number : numbers) {
    const auto slot = slots_.find(number);
    if (slot != slots_.end() && slot->second.resident == nullptr) Forget(number);
  }
}

// ---- the bill -----------------------------------------------------------------------------------

bool InterpretersProcess::KnowsThread(pid_t thread) const {
  // The first one is the main interpreter's, which runs nothing.
  return thread == process_->parts()->host_pid ||
         std::any_of(slots_.begin(), slots_.end(),
                     [=](const auto& entry) { return entry.second.thread == thread; });
}

void InterpretersProcess::ReadThreadClock(Slot* slot) {
  if (slot->thread == 0) return;
  slot->thread_cpu =
      ThreadCpuTime(process_->parts()->host_pid, slot->thread, slot->thread_cpu);
}

void InterpretersProcess::Charge() {
  absl::Duration interpreters = ended_cpu_;
  bool any_runs = false;
  const auto runs = [](const Slot& slot) {
    return slot.resident != nullptr && slot.resident->IsRunning();
  };
  for (auto& [number, slot] : slots_) {
    ReadThreadClock(&slot);
    interpreters += slot.thread_cpu;
    any_runs |= runs(slot);
  }
  const absl::Duration others = process_->parts()->meter.CpuTime() - interpreters;
  const absl::Duration grown = others - charged_cpu_;
  if (grown <= absl::ZeroDuration()) return;
  charged_cpu_ = others;
  for (auto& [number, slot] : slots_) {
    if (!any_runs || runs(slot)) slot.other_cpu += grown;
  }
}

absl::Duration InterpretersProcess::CpuTime(int64_t number) {
  Charge();
  const auto slot = slots_.find(number);
  if (slot == slots_.end()) return absl::ZeroDuration();
  return slot->second.thread_cpu + slot->second.other_cpu;
}

}  // namespace cloister::sandbox
