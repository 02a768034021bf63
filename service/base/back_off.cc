#include "service/base/back_off.h"

#include <algorithm>

namespace cloister::base {

absl::Duration BackOff::Next() {
  const absl::Duration delay = delay_;
  delay_ = std::min(delay_ * options_.factor, options_.maximum);
  const double chance = absl::Uniform(random_, 1.0 - options_.jitter, 1.0 + options_.jitter);
  return std::min(delay * chance, options_.maximum);
}

}  // namespace cloister::base
