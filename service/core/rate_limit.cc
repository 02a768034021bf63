#include "service/core/rate_limit.h"

#include <algorithm>

namespace cloister::core {

RateLimit::RateLimit(double per_second, int burst)
    : interval_(absl::Seconds(1) / per_second), tolerance_(interval_ * (burst - 1)) {}

absl::Duration RateLimit::Take(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  const absl::Time full = std::max(full_, now);
  const absl::Duration early = full - now - tolerance_;
  if (early > absl::ZeroDuration()) return early;
  full_ = full + interval_;
  return absl::ZeroDuration();
}

}  // namespace cloister::core
