// How long to leave something alone that failed: longer each time, and never at the same moment as
// everybody else.

#ifndef CLOISTER_SERVICE_BASE_BACK_OFF_H_
#define CLOISTER_SERVICE_BASE_BACK_OFF_H_

#include "absl/random/random.h"
#include "absl/time/time.h"

namespace cloister::base {

struct BackOffOptions {
  absl::Duration initial = absl::Milliseconds(100);
  absl::Duration maximum = absl::Seconds(10);
  double factor = 2.0;
  // Share of the delay that is left to chance: 0.2 gives 80 % to 120 % (and never above `maximum`).
  double jitter = 0.2;
};

// Thread-safety: none.
class BackOff {
 public:
  explicit BackOff(BackOffOptions options) : options_(options), delay_(options.initial) {}

  // The delay after one more failure.
  absl::Duration Next();

  // After a success: the next failure starts from the beginning.
  void Reset() { delay_ = options_.initial; }

 private:
  const BackOffOptions options_;
  absl::Duration delay_;
  absl::BitGen random_;
};

}  // namespace cloister::base

#endif  // CLOISTER_SERVICE_BASE_BACK_OFF_H_
