// KeyboardInterrupt, again and again, until the time for answering it is over: the first rungs of
// what ends a program, and when the last one, the kill, is due.
//
// Thread-safety: none. Pure: it is told the time, and tells what to do.

#ifndef CLOISTER_SANDBOX_HOST_INTERRUPT_LADDER_H_
#define CLOISTER_SANDBOX_HOST_INTERRUPT_LADDER_H_

#include "absl/time/time.h"
#include "sandbox/host/outcome_classifier.h"

namespace cloister::sandbox {

class InterruptLadder {
 public:
  // A signal can come to nothing: `except BaseException` swallows it, or it arrives before the
  // program could be interrupted.
  static constexpr absl::Duration kRepeat = absl::Milliseconds(100);

  // Begins, or goes on with less time where `grace` ends earlier. The first cause stays:
  // kInterruptGrace for somebody's wish, or the limit that was passed.
  void Ask(HostStop cause, absl::Duration grace, absl::Time now);

  bool asked() const { return cause_ != HostStop::kNone; }
  HostStop cause() const { return cause_; }
  // Whether a limit was among what asked.
  bool limit_passed() const { return limit_passed_; }
  // How much time there was.
  absl::Duration grace() const { return grace_; }

  // Whether to send a signal now; the next one is due after kRepeat.
  bool TakeSignal(absl::Time now);
  bool IsOver(absl::Time now) const { return now >= deadline_; }
  // When there is something to do, next; InfiniteFuture before Ask.
  absl::Time next_step() const { return next_signal_ < deadline_ ? next_signal_ : deadline_; }
  absl::Time deadline() const { return deadline_; }

 private:
  HostStop cause_ = HostStop::kNone;
  bool limit_passed_ = false;
  absl::Duration grace_ = absl::InfiniteDuration();
  absl::Time next_signal_ = absl::InfiniteFuture();
  absl::Time deadline_ = absl::InfiniteFuture();
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_INTERRUPT_LADDER_H_
