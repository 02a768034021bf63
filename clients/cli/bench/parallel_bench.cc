#include <algorithm>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "clients/cli/bench/anchors.h"
#include "clients/cli/bench/benches.h"
#include "clients/cli/bench/latency_sample.h"
#include "clients/cli/bench/live_sandboxes.h"
#include "clients/cli/bench/machine.h"
#include "cloister/client/channel.h"

namespace cloister::cli::bench {
namespace {

using Profile = v1::Interpreter::Profile;

// Pure Python, about 0.3 s of it, that allocates as programs do.
constexpr char kDefine[] = R"(
def work():
    total = 0
    for i in range(3_000_000):
        total += i * i % 7
    return total
)";
constexpr char kWork[] = "work()";
// The same as often at once as interpreters would, on threads of one.
constexpr char kWorkOnTwoThreads[] = R"(
import threading
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
)";
constexpr int kRounds = 15;
constexpr double kTarget = 1.85;

class Bench {
 public:
  explicit Bench(const std::string& address) : sandboxes_(address) {}

  absl::Status MakeSandbox(const std::string& template_name) {
    absl::StatusOr<std::string> name = sandboxes_.Create(template_name);
    if (!name.ok()) return name.status();
    sandbox_ = *std::move(name);
    return sandboxes_.Run(sandbox_, kDefine);
  }

  // Twice the time of one over the time of two at once, each in an interpreter of its own.
  absl::StatusOr<Json> MeasureInterpreters(Profile profile) {
    std::vector<std::string> names;
    for (int i = 0; i < 2; ++i) {
      const absl::StatusOr<std::string> name = sandboxes_.AddInterpreter(sandbox_, profile);
      if (!name.ok()) return name.status();
      const absl::Status defined = sandboxes_.Run(*name, kDefine);
      if (!defined.ok()) return defined;
      names.push_back(*name);
    }
    return Measure({{names[0], kWork}}, {{names[0], kWork}, {names[1], kWork}});
  }

  absl::StatusOr<Json> MeasureThreads() {
    return Measure({{sandbox_, kWork}}, {{sandbox_, kWorkOnTwoThreads}});
  }

 private:
  struct Cell {
    std::string interpreter;
    const char* code;
  };

  // In turns, so that whatever else the machine does meanwhile falls on both.
  absl::StatusOr<Json> Measure(const std::vector<Cell>& one, const std::vector<Cell>& two) {
    LatencySample of_one, of_two;
    for (int round = -1; round < kRounds; ++round) {
      const absl::StatusOr<absl::Duration> first = Time(one);
      if (!first.ok()) return first.status();
      const absl::StatusOr<absl::Duration> second = Time(two);
      if (!second.ok()) return second.status();
      if (round < 0) continue;  // the first is slower
      of_one.Add(*first);
      of_two.Add(*second);
    }
    const double single = absl::ToDoubleSeconds(of_one.Percentile(0.5));
    const double both = absl::ToDoubleSeconds(of_two.Percentile(0.5));
    return Json{{"one_p50_seconds", single},
                {"two_at_once_p50_seconds", both},
                {"speedup_times", 2 * single / both}};
  }

  // Of all of them, at once.
  absl::StatusOr<absl::Duration> Time(const std::vector<Cell>& cells) {
    std::vector<absl::Status> statuses(cells.size());
    std::vector<std::thread> threads;
    const absl::Time begin = absl::Now();
    for (size_t i = 0; i < cells.size(); ++i) {
      threads.emplace_back([&, i] { statuses[i] = sandboxes_.Run(cells[i].interpreter, cells[i].code); });
    }
    for (std::thread& thread : threads) thread.join();
    const absl::Duration took = absl::Now() - begin;
    for (absl::Status& status : statuses) {
      if (!status.ok()) return std::move(status);
    }
    return took;
  }

  LiveSandboxes sandboxes_;
  std::string sandbox_;
};

Json OrAbsent(absl::StatusOr<Json> measured) {
  return measured.ok() ? *std::move(measured) : Absent(std::string(measured.status().message()));
}

}  // namespace

absl::StatusOr<Report> BenchParallel(const BenchOptions& options) {
  const absl::StatusOr<std::string> address = client::ResolveServerAddress(options.server);
  if (!address.ok()) return address.status();
  Bench bench(*address);
  if (absl::Status made = bench.MakeSandbox(options.template_name); !made.ok()) return made;
  absl::StatusOr<Json> isolated = bench.MeasureInterpreters(v1::Interpreter::PROFILE_ISOLATED);
  if (!isolated.ok()) return isolated.status();

  Report report;
  report.bench = "parallel";
  report.machine = MachineJson("");
  report.config = {{"rounds", kRounds}, {"server", *address}};
  report.results = *std::move(isolated);
  if (!options.no_anchors) {
    report.anchors["process"] =
        OrAbsent(bench.MeasureInterpreters(v1::Interpreter::PROFILE_PROCESS));
    report.anchors["threads_of_main"] = OrAbsent(bench.MeasureThreads());
  }
  report.targets = {{"speedup_times of two isolated interpreters over one",
                     Number(report.results, "speedup_times"), kTarget, Target::Better::kHigher}};
  return report;
}

}  // namespace cloister::cli::bench
