// Two ways to put load on a service from one process: as fast as N clients get answers, and one
// call at a time at a fixed pace.

#ifndef CLOISTER_CLIENTS_CLI_BENCH_CLOSED_LOOP_H_
#define CLOISTER_CLIENTS_CLI_BENCH_CLOSED_LOOP_H_

#include <cstdint>
#include <functional>

#include "absl/time/time.h"
#include "clients/cli/bench/latency_sample.h"

namespace cloister::cli::bench {

// Tells that a call has ended, and whether well; from any thread.
using Done = std::function<void(bool succeeded)>;

// Starts one call on behalf of a client (0 to N-1) and returns without waiting for it.
using Call = std::function<void(int client, Done done)>;

struct LoadResult {
  LatencySample latency;  // of calls that succeeded
  int64_t failed_count = 0;
  absl::Duration elapsed;

  double SucceededPerSecond() const;
};

// Each of `clients` calls, waits for the answer and calls again. What starts during `warm_up` is
// not counted, nor what ends after `duration`. A client gives up after 100 failures in a row.
LoadResult RunClosedLoop(int clients, absl::Duration warm_up, absl::Duration duration,
                         const Call& call);

// One client that calls `per_second` times a second, or as fast as it is answered if that is
// slower: each call finds everybody asleep, so this is what a caller sees of a quiet machine. The
// first tenth is not counted.
LoadResult RunPaced(double per_second, absl::Duration duration, const Call& call);

// One client that waits until `next_burst` says how many calls to make one right after another, and
// so on: everybody is awake, and the service has prepared for just so many. 0 ends the run. The
// first tenth is not counted.
LoadResult RunBursts(absl::Duration duration, const std::function<int()>& next_burst,
                     const Call& call);

}  // namespace cloister::cli::bench

#endif  // CLOISTER_CLIENTS_CLI_BENCH_CLOSED_LOOP_H_
