#include <string>

#include "absl/time/clock.h"
#include "clients/cli/bench/benches.h"
#include "clients/cli/bench/latency_sample.h"
#include "clients/cli/bench/live_sandboxes.h"
#include "clients/cli/bench/machine.h"
#include "cloister/client/channel.h"

namespace cloister::cli::bench {
namespace {

// 100,000 objects of a thousand bytes: memory as programs have it, in small pieces.
constexpr char kHeap[] = "heap = [bytearray(1000) for _ in range(100_000)]";
constexpr int kSingleForks = 50;
constexpr int kForksAtOnce = 100;

// How long `count` copies of the first sandbox take; they are ended when the time has been taken.
absl::StatusOr<absl::Duration> TimeForks(LiveSandboxes* sandboxes, int count) {
  const absl::Time begin = absl::Now();
  const absl::Status forked = sandboxes->Fork(sandboxes->names().front(), count);
  const absl::Duration took = absl::Now() - begin;
  if (!forked.ok()) return forked;
  const absl::Status ran = sandboxes->Run(sandboxes->names().back(), "assert len(heap) == 100_000");
  sandboxes->DeleteFrom(1);
  if (!ran.ok()) return ran;
  return took;
}

}  // namespace

absl::StatusOr<Report> BenchFork(const BenchOptions& options) {
  const absl::StatusOr<std::string> address = client::ResolveServerAddress(options.server);
  if (!address.ok()) return address.status();
  LiveSandboxes sandboxes(*address);
  const absl::StatusOr<std::string> parent = sandboxes.Create(options.template_name);
  if (!parent.ok()) return parent.status();
  if (absl::Status filled = sandboxes.Run(*parent, kHeap); !filled.ok()) return filled;
  LatencySample single;
  for (int i = 0; i < kSingleForks; ++i) {
    const absl::StatusOr<absl::Duration> took = TimeForks(&sandboxes, 1);
    if (!took.ok()) return took.status();
    single.Add(*took);
  }
  const absl::StatusOr<absl::Duration> many = TimeForks(&sandboxes, kForksAtOnce);
  if (!many.ok()) return many.status();

  Report report;
  report.bench = "fork";
  report.machine = MachineJson("");
  report.config = {{"heap_bytes", 100'000'000},
                   {"single_forks", kSingleForks},
                   {"forks_at_once", kForksAtOnce},
                   {"server", *address}};
  SetLatency(single, "", &report.results);
  report.results["hundred_forks_seconds"] = absl::ToDoubleSeconds(*many);
  using enum Target::Better;
  report.targets = {
      {"latency_p50_us of a fork of 100 MB", Number(report.results, "latency_p50_us"), 10'000,
       kLower},
      {"hundred_forks_seconds", Number(report.results, "hundred_forks_seconds"), 0.5, kLower},
  };
  return report;
}

}  // namespace cloister::cli::bench
