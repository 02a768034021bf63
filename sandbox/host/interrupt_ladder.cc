#include "sandbox/host/interrupt_ladder.h"

namespace cloister::sandbox {

void InterruptLadder::Ask(HostStop cause, absl::Duration grace, absl::Time now) {
  if (!asked()) {
    cause_ = cause;
    next_signal_ = now;
  }
  limit_passed_ |= cause != HostStop::kInterruptGrace;
  if (now + grace >= deadline_) return;
  deadline_ = now + grace;
  grace_ = grace;
}

bool InterruptLadder::TakeSignal(absl::Time now) {
  if (now < next_signal_) return false;
  next_signal_ = now + kRepeat;
  return true;
}

}  // namespace cloister::sandbox
