// How many requests come per second just now.

#ifndef CLOISTER_SERVICE_POOL_ARRIVAL_RATE_H_
#define CLOISTER_SERVICE_POOL_ARRIVAL_RATE_H_

#include "absl/time/time.h"

namespace cloister::pool {

// Counts that fade: an arrival weighs less the longer ago it was. Two of them, so that the rate rises
// within a second when a burst begins and falls over half a minute when it ends: a sandbox too many
// is cheap, one too few makes somebody wait.
//
// Thread-safety: none. Units: arrivals per second.
class ArrivalRate {
 public:
  void Record(absl::Time now);
  double PerSecond(absl::Time now) const;

 private:
  // A count that shrinks to 1/e within `period`; over a steady stream, count / period is its rate.
  struct FadingCount {
    absl::Duration period;
    double count = 0;
    absl::Time at = absl::InfinitePast();

    double At(absl::Time now) const;
    void Add(absl::Time now);
  };

  FadingCount burst_{absl::Seconds(1)};
  FadingCount trend_{absl::Seconds(30)};
};

}  // namespace cloister::pool

#endif  // CLOISTER_SERVICE_POOL_ARRIVAL_RATE_H_
