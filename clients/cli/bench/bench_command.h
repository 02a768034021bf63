// `cloister bench`: options, and which benchmark they choose.

#ifndef CLOISTER_CLIENTS_CLI_BENCH_BENCH_COMMAND_H_
#define CLOISTER_CLIENTS_CLI_BENCH_BENCH_COMMAND_H_

#include <functional>

#include "clients/cli/bench/bench_options.h"
#include "clients/cli/commands/execution_view.h"

namespace CLI {
class App;
}  // namespace CLI

namespace cloister::cli::bench {

// Adds the subcommand; `chosen` is called where it was given. Both must outlive the parsing.
void AddBenchOptions(CLI::App* app, BenchOptions* options, std::function<void()> chosen);

// Returns an exit code: 0 when it ran, whatever was met.
int RunBench(const BenchOptions& options, OutputFds fds);

}  // namespace cloister::cli::bench

#endif  // CLOISTER_CLIENTS_CLI_BENCH_BENCH_COMMAND_H_
