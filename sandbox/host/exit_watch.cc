#include "sandbox/host/exit_watch.h"

#include <utility>

namespace cloister::sandbox {

void ExitWatch::OnExited(const internal::v1::SandboxExited& exit) {
  exit_ = exit;
  if (done_ != nullptr) Report();
}

void ExitWatch::Await(std::function<void(Observation)> done) {
  done_ = std::move(done);
  if (exit_.has_value()) return Report();
  LookAgainAfter(kChannelGrace);
}

void ExitWatch::LookAgainAfter(absl::Duration delay) {
  parts_->loop->Cancel(timer_);
  timer_ = parts_->loop->CallAfter(delay, [this] { OnOverdue(); });
}

void ExitWatch::OnOverdue() {
  if (!std::exchange(is_forced_, true)) {
    if (!parts_->ProcessHasEnded()) cause_ = HostStop::kChannelClosed;
    // Whatever an ended process started ends with it.
    parts_->control->Kill(parts_->id);
    return LookAgainAfter(kExitTimeout);
  }
  Observation seen;
  seen.stop = HostStop::kLost;
  seen.stop_detail = "the interpreter ended, and how was not reported in time";
  std::exchange(done_, nullptr)(std::move(seen));  // may destroy this
}

void ExitWatch::Report() {
  parts_->loop->Cancel(timer_);
  Observation seen;
  seen.stop = cause_;
  if (exit_->wait_code() != 0) {
    seen.exit = ProcessEnd{exit_->wait_code(), exit_->wait_status()};
  } else {
    seen.stop = HostStop::kLost;
    seen.stop_detail = "the interpreter ended together with its zygote";
  }
  std::exchange(done_, nullptr)(std::move(seen));  // may destroy this
}

}  // namespace cloister::sandbox
