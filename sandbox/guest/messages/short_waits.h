// Looks for a while before it sleeps, where that has been worth it.
//
// To sleep and be woken takes a processor that had nothing else to do 20 us and more, several times
// what it takes another interpreter to answer. So who mostly waits for little keeps looking
// instead; who does so in vain, as where the other one waits for this very processor, stops it for
// a number of waits that doubles. Who waits for rare messages never looks more than once.
//
// Thread-safety: its owner's.

#ifndef CLOISTER_SANDBOX_GUEST_MESSAGES_SHORT_WAITS_H_
#define CLOISTER_SANDBOX_GUEST_MESSAGES_SHORT_WAITS_H_

#include <poll.h>

#include <algorithm>
#include <cstdint>

namespace cloister::sandbox {

class ShortWaits {
 public:
  // How long to look for this wait; 0: not at all.
  int64_t Budget() {
    if (sleeps_ > 0) {
      --sleeps_;
      return 0;
    }
    return usual_ <= kWorthwhile ? kMaxLook : 0;
  }

  // How the wait went.
  void Looked(bool was_worth_it) {
    if (was_worth_it) {
      penalty_ = 0;
    } else {
      penalty_ = std::min(2 * penalty_ + 1, kMaxPenalty);
      sleeps_ = penalty_;
    }
  }
  void Waited(int64_t nanoseconds) {
    usual_ += (std::min(nanoseconds, 10 * kWorthwhile) - usual_) / 4;
  }

 private:
  static constexpr int64_t kWorthwhile = 100'000;
  static constexpr int64_t kMaxLook = 50'000;
  static constexpr int kMaxPenalty = 255;

  int64_t usual_ = 2 * kWorthwhile;  // ns that recent waits took
  int penalty_ = 0;                  // how many waits sleep at once after one looked in vain
  int sleeps_ = 0;                   // how many are left of them
};

// Whether one of them is ready within so long. Without the GIL; `polled` is as poll(2) leaves it.
bool LookFor(pollfd* polled, nfds_t count, int64_t nanoseconds);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_SHORT_WAITS_H_
