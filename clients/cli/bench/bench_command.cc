#include "clients/cli/bench/bench_command.h"

#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "clients/cli/bench/benches.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/units.h"

namespace cloister::cli::bench {
namespace {

constexpr char kFooter[] = R"(
Benchmarks:
  echo     a gRPC call to a server that does nothing, started for it: the floor under every call
  fresh    RunCode of print(1) in a sandbox nobody used before. First one client: bursts of as many
           calls as the full pool has sandboxes (latency_…), then --rate calls a second (paced_…, on a
           machine that is asleep between them). Then --clients as fast as they are answered
           (throughput_…). Anchors: grpc_echo, bare_fork (plain forks of the same zygote; needs root),
           bwrap_python, python
  session  RunCode of x=1 in live sandboxes: one client (latency_…), then --clients, each with a sandbox of
           its own (throughput_…). Anchors: grpc_echo, ipykernel (a warm kernel through jupyter_client)
  message  a message to code in a live sandbox and back (latency_…), then between two isolated interpreters and
           back (interpreters_…). Anchors: grpc_stream_echo, multiprocessing_pipe, interpreters_queue
  hostcall a call of the client's function from code in a live sandbox, measured there. Anchor: grpc_stream_echo
  transfer SharedBuffers, and bytes that move by pointer or are copied, of several sizes, between two isolated
           interpreters and between two processes and back; each size for a tenth of --duration. Anchor: processes
           (multiprocessing.Pipe and multiprocessing.shared_memory)
  clone    a message of 1,000 records through cloister.clone and through a Channel. Anchors: pickle, marshal, json in
           the same interpreter
  fork     ForkSandbox of a sandbox with a heap of 100 MB: one at a time (latency_…), then a hundred in one call
  parallel CPU-bound Python in one isolated interpreter of a live sandbox, then in two at once. Anchors:
           process (the same in interpreters of that profile), threads_of_main
  interrupt
           code of many kinds (loops, sleeps, locks, C) interrupted in main and in an isolated interpreter of a
           live sandbox: which rung ended it, whether its variables are still there, and how long it took
  map      MapCode of print(1) over 1,000 inputs, --clients at a time, again and again. Anchor: fresh (the same
           programs by a RunCode each)
  density  memory of one more idle warm sandbox, by MemAvailable. Starts a cloisterd of its own twice, with
           one and with --sandboxes more ready, and once more with --live-sandboxes live ones that have each run
           a cell; needs what cloisterd needs, and a machine that is quiet

Percentiles are exact and the client's; what the first tenth of a run shows is not counted. The exit code is
0 when it ran, whatever targets were met.

Examples:
  cloister bench echo
  cloister --server unix:/tmp/c.sock bench fresh --json --duration 10s --clients 32
  cloister bench density --sandboxes 400 --json)";

int ExitCodeFor(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsNotFound(status) ? kExitUsage
                                                                     : kExitUnavailable;
}

absl::StatusOr<Report> Measure(const BenchOptions& options) {
  if (options.name == "echo") return BenchEcho(options);
  if (options.name == "fresh") return BenchFresh(options);
  if (options.name == "session") return BenchSession(options);
  if (options.name == "message") return BenchMessage(options);
  if (options.name == "hostcall") return BenchHostCall(options);
  if (options.name == "transfer") return BenchTransfer(options);
  if (options.name == "clone") return BenchClone(options);
  if (options.name == "fork") return BenchFork(options);
  if (options.name == "parallel") return BenchParallel(options);
  if (options.name == "interrupt") return BenchInterrupt(options);
  if (options.name == "map") return BenchMap(options);
  return BenchDensity(options);
}

}  // namespace

void AddBenchOptions(CLI::App* app, BenchOptions* options, std::function<void()> chosen) {
  CLI::App* command =
      app->add_subcommand("bench", "Measure this machine and server, beside floors and anchors");
  command
      ->add_option("NAME", options->name,
                   "echo, fresh, session, message, hostcall, transfer, clone, fork, parallel, interrupt, map or density")
      ->required()
      ->check(CLI::IsMember({"echo", "fresh", "session", "message", "hostcall", "transfer", "clone", "fork", "parallel",
                             "interrupt", "map", "density"}));
  command->add_flag("--json", options->json, "one JSON object on stdout");
  command->add_option("--duration,--seconds", options->duration_text, "of each phase; default 10s")
      ->type_name("TIME");
  command
      ->add_option("--clients", options->clients,
                   "calls in flight in the throughput phase; default 32")
      ->type_name("N")
      ->check(CLI::Range(1, 1024));
  command->add_option("--channels", options->channels, "connections they share; default 2")
      ->type_name("N")
      ->check(CLI::Range(1, 64));
  command->add_option("--rate", options->rate, "calls a second in the paced phase; default 100")
      ->type_name("N")
      ->check(CLI::Range(1.0, 100000.0));
  command
      ->add_option("-t,--template", options->template_name,
                   "which template; default: the server's first")
      ->type_name("NAME");
  command->add_option("--sandboxes", options->sandboxes, "idle sandboxes of density; default 400")
      ->type_name("N")
      ->check(CLI::Range(1, 20000));
  command
      ->add_option("--live-sandboxes", options->live_sandboxes,
                   "live sandboxes of density; default 1000")
      ->type_name("N")
      ->check(CLI::Range(1, 20000));
  command
      ->add_option("--image-directory", options->image_directory,
                   "where runtime images are, for anchors")
      ->type_name("DIR");
  command->add_flag("--no-anchors", options->no_anchors, "leave the anchors out");
  command->footer(kFooter);
  command->callback(std::move(chosen));
}

int RunBench(const BenchOptions& given, OutputFds fds) {
  BenchOptions options = given;
  const absl::StatusOr<absl::Duration> duration = ParseDuration(options.duration_text);
  if (!duration.ok() || *duration > absl::Minutes(10)) {
    Complain(fds.err, absl::StrCat("bench: --duration: ",
                                   duration.ok() ? "at most 10m" : duration.status().message()));
    return kExitUsage;
  }
  options.duration = *duration;
  const absl::StatusOr<Report> report = Measure(options);
  if (!report.ok()) {
    Complain(fds.err, report.status().message());
    return ExitCodeFor(report.status());
  }
  const std::string text = options.json ? report->ToJson().dump(2) + "\n" : report->ToText();
  return WriteAll(fds.out, text) ? kExitOk : kExitInputOutput;
}

}  // namespace cloister::cli::bench
