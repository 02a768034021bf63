// Every latency of a run, kept whole: percentiles are exact, not read off buckets.

#ifndef CLOISTER_CLIENTS_CLI_BENCH_LATENCY_SAMPLE_H_
#define CLOISTER_CLIENTS_CLI_BENCH_LATENCY_SAMPLE_H_

#include <cstddef>
#include <vector>

#include "absl/time/time.h"

namespace cloister::cli::bench {

// Thread-safety: none.
class LatencySample {
 public:
  void Add(absl::Duration latency) { values_.push_back(latency); }
  void Add(const LatencySample& other);

  size_t count() const { return values_.size(); }

  // The smallest latency that at least `fraction` (0 to 1) of the sample does not exceed. Zero for
  // an empty sample.
  absl::Duration Percentile(double fraction) const;

 private:
  std::vector<absl::Duration> values_;
};

}  // namespace cloister::cli::bench

#endif  // CLOISTER_CLIENTS_CLI_BENCH_LATENCY_SAMPLE_H_
