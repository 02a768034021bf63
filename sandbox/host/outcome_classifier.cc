#include "sandbox/host/outcome_classifier.h"

#include <signal.h>
#include <string.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace cloister::sandbox {
namespace {

using internal::v1::Finished;
using v1::Outcome;

struct Verdict {
  Outcome::Kind kind;
  std::string detail;
};

bool EndedBySignal(const Observation& seen, int signal) {
  return seen.exit.has_value() && seen.exit->code != CLD_EXITED && seen.exit->status == signal;
}

std::string SignalName(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name != nullptr ? absl::StrCat("SIG", name) : absl::StrCat("signal ", signal);
}

bool RaisedKeyboardInterrupt(const Observation& seen) {
  return seen.finished.has_value() && seen.finished->kind() == Finished::KIND_RAISED &&
         seen.finished->exception().type() == "KeyboardInterrupt";
}

std::optional<Verdict> PolicyVerdict(const Observation& seen) {
  if (seen.stop == HostStop::kBrokenProtocol) {
    return Verdict{
        Outcome::KIND_POLICY_VIOLATION,
        absl::StrCat("killed: the guest broke the protocol to the host (", seen.stop_detail, ")")};
  }
  if (EndedBySignal(seen, SIGSYS)) {
    return Verdict{
        Outcome::KIND_POLICY_VIOLATION,
        "ended by SIGSYS, with which the kernel answers a system call that seccomp forbids"};
  }
  return std::nullopt;
}

std::optional<Verdict> MemoryVerdict(const Observation& seen) {
  if (seen.stop == HostStop::kMemory) {
    return Verdict{Outcome::KIND_MEMORY_LIMIT,
                   absl::StrCat("killed: sampled memory passed ", seen.limits.memory_bytes,
                                " bytes (limits.memory_bytes)")};
  }
  if (EndedBySignal(seen, SIGKILL) && seen.oom_kills > 0) {
    return Verdict{Outcome::KIND_MEMORY_LIMIT,
                   absl::StrCat("killed by the kernel at ", seen.limits.memory_bytes,
                                " bytes of memory (limits.memory_bytes)")};
  }
  return std::nullopt;
}

// How a limit of a cell ended it.
std::string LimitDetail(const Observation& seen, HostStop limit, const std::string& what) {
  if (seen.asked != limit) {
    const bool lives_on = seen.in_session && seen.stop == HostStop::kNone;
    return absl::StrCat(lives_on ? "ended " : "killed ", what);
  }
  if (seen.stop == HostStop::kNone) return absl::StrCat("interrupted ", what);
  return absl::StrCat("interrupted ", what, " and killed: that was not answered within ",
                      absl::FormatDuration(seen.grace));
}

std::optional<Verdict> TimeVerdict(const Observation& seen) {
  // The rlimit behind the host's own clock: SIGXCPU first, SIGKILL for those who ignore it. A
  // program can send itself either: only the time used tells.
  const bool killed_by_nobody = seen.stop == HostStop::kNone && EndedBySignal(seen, SIGKILL);
  const bool by_rlimit =
      seen.cpu_time >= seen.limits.cpu_time && (EndedBySignal(seen, SIGXCPU) || killed_by_nobody);
  if (seen.stop == HostStop::kCpuTime && !seen.stop_detail.empty()) {
    return Verdict{Outcome::KIND_CPU_TIMEOUT, seen.stop_detail};
  }
  if (seen.stop == HostStop::kCpuTime || seen.asked == HostStop::kCpuTime || by_rlimit) {
    return Verdict{Outcome::KIND_CPU_TIMEOUT,
                   LimitDetail(seen, HostStop::kCpuTime,
                               absl::StrCat("after ", absl::FormatDuration(seen.limits.cpu_time),
                                            " of processor time (limits.cpu_time)"))};
  }
  if (seen.stop == HostStop::kWallTime || seen.asked == HostStop::kWallTime) {
    return Verdict{Outcome::KIND_WALL_TIMEOUT,
                   LimitDetail(seen, HostStop::kWallTime,
                               absl::StrCat("after ", absl::FormatDuration(seen.limits.wall_time),
                                            " of wall time (limits.wall_time)"))};
  }
  return std::nullopt;
}

std::optional<Verdict> InterruptVerdict(const Observation& seen) {
  switch (seen.stop) {
    case HostStop::kInterruptGrace:
      return Verdict{Outcome::KIND_INTERRUPTED,
                     absl::StrCat("killed: KeyboardInterrupt was not answered within ",
                                  absl::FormatDuration(seen.grace))};
    case HostStop::kInterruptAtOnce:
      return Verdict{Outcome::KIND_INTERRUPTED, "killed at once, as the interrupt asked"};
    case HostStop::kCallerGone:
      return Verdict{Outcome::KIND_INTERRUPTED, "killed: its caller went away"};
    case HostStop::kShutdown:
      return Verdict{Outcome::KIND_INTERRUPTED, "killed: the server is stopping"};
    case HostStop::kDeleted:
      return Verdict{Outcome::KIND_INTERRUPTED, "killed: its sandbox was deleted"};
    case HostStop::kExpired:
      return Verdict{Outcome::KIND_INTERRUPTED, "killed: its sandbox's time was over"};
    case HostStop::kRestarted:
      return Verdict{Outcome::KIND_INTERRUPTED, "killed: its sandbox was restarted"};
    default:
      break;
  }
  if (seen.asked != HostStop::kInterruptGrace) return std::nullopt;
  if (RaisedKeyboardInterrupt(seen)) {
    return Verdict{Outcome::KIND_INTERRUPTED, "interrupted: KeyboardInterrupt ended the program"};
  }
  if (EndedBySignal(seen, SIGINT)) {
    return Verdict{Outcome::KIND_INTERRUPTED, "interrupted: SIGINT ended the program"};
  }
  return std::nullopt;
}

// What no limit and nobody's wish explains.
Verdict LostVerdict(const Observation& seen) {
  std::string what;
  switch (seen.stop) {
    case HostStop::kNeverStarted:
      what = absl::StrCat("the program was not started: ", seen.stop_detail);
      break;
    case HostStop::kChannelClosed:
      what = "killed: the interpreter closed its channel to the host and went on";
      break;
    default:
      what = seen.stop_detail.empty() ? "the interpreter's end was not seen" : seen.stop_detail;
  }
  return {Outcome::KIND_INTERPRETER_LOST, std::move(what)};
}

Verdict FinishedVerdict(const Finished& finished) {
  switch (finished.kind()) {
    case Finished::KIND_RAISED:
      return {Outcome::KIND_RAISED, "an exception reached the top of the program"};
    case Finished::KIND_EXITED:
      return {Outcome::KIND_EXITED, "the program raised SystemExit"};
    default:
      return {Outcome::KIND_SUCCEEDED, "the program ran to its end"};
  }
}

// The process ended without a word.
Verdict ExitVerdict(const ProcessEnd& exit) {
  if (exit.code == CLD_EXITED) {
    return {Outcome::KIND_EXITED,
            absl::StrCat("the process exited by itself with status ", exit.status)};
  }
  return {Outcome::KIND_SIGNALED,
          absl::StrCat("the process was ended by ", SignalName(exit.status))};
}

Verdict Judge(const Observation& seen) {
  if (auto verdict = PolicyVerdict(seen)) return *verdict;
  if (auto verdict = MemoryVerdict(seen)) return *verdict;
  if (auto verdict = TimeVerdict(seen)) return *verdict;
  if (seen.output_overflowed || seen.stop == HostStop::kOutput || seen.asked == HostStop::kOutput) {
    return {Outcome::KIND_OUTPUT_LIMIT,
            LimitDetail(seen, HostStop::kOutput,
                        absl::StrCat("after writing more than ", seen.limits.output_bytes,
                                     " bytes (limits.output_bytes)"))};
  }
  if (auto verdict = InterruptVerdict(seen)) return *verdict;
  // A process that closed its channel may still have ended by itself before the kill.
  const bool by_our_kill = seen.stop != HostStop::kNone && EndedBySignal(seen, SIGKILL);
  if (seen.stop == HostStop::kNeverStarted || seen.stop == HostStop::kLost || by_our_kill) {
    return LostVerdict(seen);
  }
  if (seen.finished.has_value()) return FinishedVerdict(*seen.finished);
  if (seen.exit.has_value()) return ExitVerdict(*seen.exit);
  return LostVerdict(seen);
}

}  // namespace

HostStop HostStopOf(StopReason reason) {
  switch (reason) {
    case StopReason::kCallerGone:
      return HostStop::kCallerGone;
    case StopReason::kInterrupt:
      return HostStop::kInterruptAtOnce;
    case StopReason::kShutdown:
      return HostStop::kShutdown;
    case StopReason::kDeleted:
      return HostStop::kDeleted;
    case StopReason::kExpired:
      return HostStop::kExpired;
    case StopReason::kRestarted:
      return HostStop::kRestarted;
  }
  return HostStop::kShutdown;
}

v1::Outcome ClassifyOutcome(Observation seen) {
  Verdict verdict = Judge(seen);
  Outcome outcome;
  outcome.set_kind(verdict.kind);
  outcome.set_detail(std::move(verdict.detail));
  switch (verdict.kind) {
    case Outcome::KIND_SUCCEEDED:
      if (seen.finished->has_value())
        *outcome.mutable_value() = std::move(*seen.finished->mutable_value());
      break;
    case Outcome::KIND_RAISED:
      *outcome.mutable_exception() = std::move(*seen.finished->mutable_exception());
      break;
    case Outcome::KIND_INTERRUPTED:
    case Outcome::KIND_CPU_TIMEOUT:
    case Outcome::KIND_WALL_TIMEOUT:
    case Outcome::KIND_OUTPUT_LIMIT:
      if (seen.stop == HostStop::kNone && RaisedKeyboardInterrupt(seen)) {
        *outcome.mutable_exception() = std::move(*seen.finished->mutable_exception());
      }
      break;
    case Outcome::KIND_EXITED:
      // As a parent would see it.
      outcome.set_exit_code((seen.finished ? seen.finished->exit_code() : seen.exit->status) &
                            0xff);
      break;
    case Outcome::KIND_SIGNALED:
      outcome.set_signal(seen.exit->status);
      break;
    case Outcome::KIND_POLICY_VIOLATION:
      if (EndedBySignal(seen, SIGSYS)) outcome.set_signal(SIGSYS);
      break;
    default:
      break;
  }
  return outcome;
}

}  // namespace cloister::sandbox
