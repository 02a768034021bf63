// How many sandboxes a pool makes at once. Making one takes twice the processor time of a small program,
// and takes it from those who wait for an answer: so it is left for the pauses between requests as long as
// the stock lasts.
//
// Thread-safety: none of its own.

#ifndef CLOISTER_SERVICE_POOL_REFILL_PACE_H_
#define CLOISTER_SERVICE_POOL_REFILL_PACE_H_

#include "absl/time/time.h"

namespace cloister::pool {

class RefillPace {
 public:
  // A pause begins that long after a request; `maximum` are made at once in it.
  RefillPace(absl::Duration pause, int maximum) : pause_(pause), maximum_(maximum) {}

  void OnLease(absl::Time now) { last_lease_ = now; }

  // With `ready` of `target`. As many as can be in a pause, and where somebody waits for a sandbox. Between
  // requests none; but from a quarter of the stock on one, until half of it is there again: not one
  // beside each request, but many beside few.
  int AtOnce(absl::Time now, int ready, int target, bool somebody_waits);

  // When none may become more, unless there is another request.
  absl::Time pause_begin() const { return last_lease_ + pause_; }

 private:
  const absl::Duration pause_;
  const int maximum_;
  absl::Time last_lease_ = absl::InfinitePast();
  bool is_short_ = false;
};

}  // namespace cloister::pool

#endif  // CLOISTER_SERVICE_POOL_REFILL_PACE_H_
