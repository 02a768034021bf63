#include <unistd.h>

#include <atomic>
#include <deque>
#include <functional>
#include <thread>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "clients/cli/bench/anchors.h"
#include "clients/cli/bench/closed_loop.h"
#include "clients/cli/bench/cpu_meter.h"
#include "clients/cli/bench/machine.h"
#include "clients/cli/bench/report.h"
#include "gtest/gtest.h"

namespace cloister::cli::bench {
namespace {

// A thread that does one thing after another, until the test is over. Answers inline would recurse; it
// gives them from elsewhere, as gRPC does.
class Worker {
 public:
  Worker() : thread_([this] { Run(); }) {}
  ~Worker() {
    Do(nullptr);
    thread_.join();
  }

  void Do(std::function<void()> work) {
    const absl::MutexLock lock(&mutex_);
    queue_.push_back(std::move(work));
  }

 private:
  void Run() {
    while (const std::function<void()> work = Next()) work();
  }

  std::function<void()> Next() {
    const absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(
        +[](std::deque<std::function<void()>>* queue) { return !queue->empty(); }, &queue_));
    std::function<void()> next = std::move(queue_.front());
    queue_.pop_front();
    return next;
  }

  absl::Mutex mutex_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

TEST(LatencySampleTest, PercentilesAreExact) {
  LatencySample sample;
  EXPECT_EQ(sample.Percentile(0.5), absl::ZeroDuration());
  for (int i = 100; i >= 1; --i) sample.Add(absl::Microseconds(i));
  EXPECT_EQ(sample.Percentile(0), absl::Microseconds(1));
  EXPECT_EQ(sample.Percentile(0.5), absl::Microseconds(50));
  EXPECT_EQ(sample.Percentile(0.99), absl::Microseconds(99));
  EXPECT_EQ(sample.Percentile(0.991), absl::Microseconds(100));
  EXPECT_EQ(sample.Percentile(1), absl::Microseconds(100));
}

TEST(TargetTest, IsMetOnTheRightSide) {
  using enum Target::Better;
  EXPECT_EQ((Target{"", 5, 5, kLower}).Met(), true);
  EXPECT_EQ((Target{"", 6, 5, kLower}).Met(), false);
  EXPECT_EQ((Target{"", 6, 5, kHigher}).Met(), true);
  EXPECT_EQ((Target{"", 4, 5, kHigher}).Met(), false);
  EXPECT_EQ((Target{"", 4, std::nullopt, kHigher}).Met(), std::nullopt);
}

TEST(ReportTest, JsonHasTheAgreedShape) {
  Report report;
  report.bench = "fresh";
  report.machine = MachineJson("3.14.10");
  report.results["latency_p50_us"] = 200.5;
  report.anchors["bare_fork"] = {{"absent", "no root"}};
  report.targets = {{"a", 200.5, 300, Target::Better::kLower},
                    {"b", std::nullopt, 1, Target::Better::kHigher}};
  const Json json = Json::parse(report.ToJson().dump());
  std::vector<std::string> names;
  for (const auto& [name, value] : json.items()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"bench", "machine", "config", "results", "anchors",
                                             "targets"}));
  for (const char* name : {"cores", "kernel", "cpu", "python"})
    EXPECT_TRUE(json["machine"].contains(name)) << name;
  EXPECT_EQ(json["targets"][0], Json({{"name", "a"},
                                      {"measured", 200.5},
                                      {"limit", 300.0},
                                      {"better", "lower"},
                                      {"met", true}}));
  EXPECT_TRUE(json["targets"][1]["met"].is_null());
  EXPECT_EQ(json["targets"][1]["better"], "higher");
  EXPECT_NE(report.ToText().find("unknown b"), std::string::npos);
}

TEST(AnchorTest, BareForksAreReadFromWhatTheSpawnerPrints) {
  const Json printed =
      Json::parse(R"({"serial": {"forks_per_second": 900.5, "p50_us": 800, "p99_us": 1200},
      "parallel": {"zygotes": 2, "forks_per_second": 1700, "p50_us": 1100, "p99_us": 2000}})");
  const Json results = BareForkResults(printed);
  EXPECT_EQ(results["latency_p50_us"], 800);
  EXPECT_EQ(results["serial_per_second"], 900.5);
  EXPECT_EQ(results["throughput_per_second"], 1700);
  EXPECT_TRUE(BareForkResults(Json()).contains("absent"));
  EXPECT_TRUE(BareForkResults(Json{{"parallel", 1}}).contains("absent"));
}

TEST(ClosedLoopTest, KeepsEveryClientBusyAndCounts) {
  std::atomic<int> most{0};
  std::atomic<int> in_flight{0};
  std::atomic<int> calls{0};
  Worker workers[3];
  // Long enough for a few calls on any machine.
  const LoadResult result =
      RunClosedLoop(3, absl::ZeroDuration(), absl::Seconds(1), [&](int client, Done done) {
        const int now = ++in_flight;
        for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
        }
        const bool ok = ++calls % 2 == 0;
        workers[client].Do([&, ok, done = std::move(done)] {
          --in_flight;
          done(ok);
        });
      });
  EXPECT_GE(calls, 6);
  EXPECT_LE(most, 3);
  EXPECT_GT(result.latency.count(), 0u);
  EXPECT_GT(result.failed_count, 0);
  EXPECT_DOUBLE_EQ(result.SucceededPerSecond(), static_cast<double>(result.latency.count()));
}

TEST(ClosedLoopTest, GivesUpOnAServiceThatOnlyFails) {
  const LoadResult result = RunPaced(1e5, absl::Seconds(600), [](int, Done done) { done(false); });
  EXPECT_EQ(result.failed_count, 100);
  EXPECT_EQ(result.latency.count(), 0u);
}

TEST(ClosedLoopTest, BurstsAreAsLongAsTheServiceIsReadyFor) {
  std::vector<int> bursts = {3, 2, 0};
  int calls = 0;
  size_t burst = 0;
  const LoadResult result = RunBursts(
      absl::Seconds(600),
      [&] {
        EXPECT_EQ(calls, burst == 0 ? 0 : burst == 1 ? 3 : 5);
        return bursts[burst++];
      },
      [&](int, Done done) {
        ++calls;
        done(true);
      });
  EXPECT_EQ(calls, 5);
  EXPECT_EQ(result.latency.count(), 0u);  // all within the first tenth
}

TEST(MachineTest, ReadsProcFiles) {
  EXPECT_EQ(ProcField("model\t: 1\nmodel name\t: AMD EPYC\nx: 2\n", "model name"), "AMD EPYC");
  EXPECT_EQ(ProcField("model\t: 1\n", "flags"), "");
  EXPECT_GT(AvailableMemoryBytes().value_or(0), 0);
  EXPECT_EQ(SiblingProgram("no-such-program"), "");
  EXPECT_EQ(FindProgram("no-such-program"), "");
  EXPECT_NE(FindProgram("sh"), "");
}

TEST(CpuMeterTest, ReadsProcStat) {
  const std::string stat = "7 (a ) b) S 1 1 1 0 -1 4194560 1 2 3 4 300 50 0 0 20 0 1 0 9 0 0";
  EXPECT_EQ(ProcessCpu(stat), absl::Seconds(350) / ::sysconf(_SC_CLK_TCK));
  EXPECT_EQ(ProcessCpu("garbage"), std::nullopt);
  EXPECT_EQ(MachineCpu("cpu  1 2 3 400 500 6 7 0 0 0\ncpu0 9\n"),
            absl::Seconds(19) / ::sysconf(_SC_CLK_TCK));
  EXPECT_EQ(MachineCpu("cpu"), std::nullopt);
}

}  // namespace
}  // namespace cloister::cli::bench
