// Messages to and fro on one gRPC stream, one at a time: the floor under messages and host calls.

#ifndef CLOISTER_CLIENTS_CLI_BENCH_STREAM_ECHO_H_
#define CLOISTER_CLIENTS_CLI_BENCH_STREAM_ECHO_H_

#include <functional>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "clients/cli/bench/bench_options.h"
#include "clients/cli/bench/latency_sample.h"
#include "clients/cli/bench/report.h"

namespace cloister::cli::bench {

// Does `round` again and again for so long, and measures each but those of the first tenth. Ends
// early where one fails.
inline LatencySample MeasureRounds(absl::Duration duration, const std::function<bool()>& round) {
  LatencySample sample;
  const absl::Time begin = absl::Now();
  for (absl::Time before = begin; before < begin + duration;) {
    if (!round()) break;
    const absl::Time after = absl::Now();
    if (before > begin + duration / 10) sample.Add(after - before);
    before = after;
  }
  return sample;
}

// Of a server that does nothing else, started for it; or {"absent": why}.
Json MeasureStreamEcho(const BenchOptions& options);

}  // namespace cloister::cli::bench

#endif  // CLOISTER_CLIENTS_CLI_BENCH_STREAM_ECHO_H_
