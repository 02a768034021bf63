// What the figures are held against, measured in the same run on the same machine. Each anchor
// gives results under the names the benchmark uses, or {"absent": why}.

#ifndef CLOISTER_CLIENTS_CLI_BENCH_ANCHORS_H_
#define CLOISTER_CLIENTS_CLI_BENCH_ANCHORS_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "clients/cli/bench/bench_options.h"
#include "clients/cli/bench/report.h"

namespace cloister::cli::bench {

// The image whose Python is measured.
struct ImageUnderTest {
  std::string name;
  std::string root;            // its root file system
  std::string python_version;  // "3.14.10"
  std::vector<std::string> warm_up_imports;
};

Json Absent(const std::string& reason);

// gRPC echo over a unix socket, with as many clients and channels as the benchmark itself.
Json MeasureEcho(const BenchOptions& options);

// Plain forks of the same zygote, neither isolated nor told to run anything: `cloister-spawner
// bench-fork`.
Json MeasureBareFork(const ImageUnderTest& image);

// What bench-fork prints, under our names: latency of one zygote, throughput of one per core.
Json BareForkResults(const Json& json);

// A process per program: the image's Python under `bwrap --unshare-all`, and the machine's own
// Python bare.
Json MeasureBwrap(const ImageUnderTest& image);
Json MeasurePython();

}  // namespace cloister::cli::bench

#endif  // CLOISTER_CLIENTS_CLI_BENCH_ANCHORS_H_
