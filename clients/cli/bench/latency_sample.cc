#include "clients/cli/bench/latency_sample.h"

#include <algorithm>
#include <cmath>

namespace cloister::cli::bench {

void LatencySample::Add(const LatencySample& other) {
  values_.insert(values_.end(), other.values_.begin(), other.values_.end());
}

absl::Duration LatencySample::Percentile(double fraction) const {
  if (values_.empty()) return absl::ZeroDuration();
  const double rank = std::ceil(fraction * static_cast<double>(values_.size()));
  const size_t index = std::clamp<size_t>(static_cast<size_t>(rank), 1, values_.size()) - 1;
  std::vector<absl::Duration> values = values_;
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(index),
                   values.end());
  return values[index];
}

}  // namespace cloister::cli::bench
