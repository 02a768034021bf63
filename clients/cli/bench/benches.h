// The benchmarks. Each measures and fills a report in; an error says what kept it from running.

#ifndef CLOISTER_CLIENTS_CLI_BENCH_BENCHES_H_
#define CLOISTER_CLIENTS_CLI_BENCH_BENCHES_H_

#include "absl/status/statusor.h"
#include "clients/cli/bench/bench_options.h"
#include "clients/cli/bench/report.h"

namespace cloister::cli::bench {

// A call to a server that does nothing.
absl::StatusOr<Report> BenchEcho(const BenchOptions& options);

// RunCode of `print(1)`, each in a sandbox nobody used before.
absl::StatusOr<Report> BenchFresh(const BenchOptions& options);

// RunCode of `x=1` in a live sandbox.
absl::StatusOr<Report> BenchSession(const BenchOptions& options);

// A message to code in a live sandbox and back, and between two isolated interpreters and back.
absl::StatusOr<Report> BenchMessage(const BenchOptions& options);

// A call of the client's function from code in a live sandbox.
absl::StatusOr<Report> BenchHostCall(const BenchOptions& options);

// SharedBuffers, moves and copies between two interpreters and back, by size.
absl::StatusOr<Report> BenchTransfer(const BenchOptions& options);

// A clone of 1,000 records and back.
absl::StatusOr<Report> BenchClone(const BenchOptions& options);

// ForkSandbox of a sandbox with a heap of 100 MB: one at a time, then a hundred in one call.
absl::StatusOr<Report> BenchFork(const BenchOptions& options);

// CPU-bound code in one isolated interpreter of a sandbox, then in two at once.
absl::StatusOr<Report> BenchParallel(const BenchOptions& options);

// What ends code of many kinds that is interrupted, in `main` and in an isolated interpreter, and
// how long it takes.
absl::StatusOr<Report> BenchInterrupt(const BenchOptions& options);

// MapCode of `print(1)` over 1,000 inputs.
absl::StatusOr<Report> BenchMap(const BenchOptions& options);

// What one more idle warm sandbox costs in memory.
absl::StatusOr<Report> BenchDensity(const BenchOptions& options);

}  // namespace cloister::cli::bench

#endif  // CLOISTER_CLIENTS_CLI_BENCH_BENCHES_H_
