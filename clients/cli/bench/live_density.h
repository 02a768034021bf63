// What many live sandboxes cost that have each run a cell.

#ifndef CLOISTER_CLIENTS_CLI_BENCH_LIVE_DENSITY_H_
#define CLOISTER_CLIENTS_CLI_BENCH_LIVE_DENSITY_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "clients/cli/bench/latency_sample.h"
#include "cloister/internal/v1/config.pb.h"

namespace cloister::cli::bench {

struct LiveDensity {
  // What MemAvailable lost to all of them but the first.
  int64_t memory_bytes = 0;
  // Creations with the first cell of each, from four clients.
  double started_per_second = 0;
  // A cell in each in turn, when all live, from one client.
  LatencySample cells;
};

// Starts a server with this configuration, made to hold so many.
absl::StatusOr<LiveDensity> MeasureLiveDensity(internal::v1::ServerConfig config, int count);

}  // namespace cloister::cli::bench

#endif  // CLOISTER_CLIENTS_CLI_BENCH_LIVE_DENSITY_H_
