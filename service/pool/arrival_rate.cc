#include "service/pool/arrival_rate.h"

#include <algorithm>
#include <cmath>

namespace cloister::pool {

double ArrivalRate::FadingCount::At(absl::Time now) const {
  if (count == 0) return 0;
  return count * std::exp(-absl::FDivDuration(now - at, period));
}

void ArrivalRate::FadingCount::Add(absl::Time now) {
  count = At(now) + 1;
  at = now;
}

void ArrivalRate::Record(absl::Time now) {
  burst_.Add(now);
  trend_.Add(now);
}

double ArrivalRate::PerSecond(absl::Time now) const {
  return std::max(burst_.At(now) / absl::ToDoubleSeconds(burst_.period),
                  trend_.At(now) / absl::ToDoubleSeconds(trend_.period));
}

}  // namespace cloister::pool
