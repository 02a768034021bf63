// The metrics as Prometheus sees them: their names and labels against the golden file, promtool's
// opinion, and what each report counts.

#include "service/observability/metrics.h"

#include <stdio.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "prometheus/text_serializer.h"
#include "service/base/proto_time.h"
#include "service/core/error.h"
#include "service/observability/process_metrics.h"
#include "service/observability/service_metrics.h"

namespace cloister::observability {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// As many series as the budget allows a server with three templates.
constexpr size_t kSeriesBudget = 2500;

const char* TypeName(prometheus::MetricType type) {
  switch (type) {
    case prometheus::MetricType::Counter:
      return "counter";
    case prometheus::MetricType::Gauge:
      return "gauge";
    case prometheus::MetricType::Histogram:
      return "histogram";
    default:
      return "other";
  }
}

// One line a series without its value, and one a family; sorted.
std::string Shape(const std::vector<prometheus::MetricFamily>& families) {
  std::set<std::string> lines;
  for (const auto& family : families) {
    lines.insert(family.name + " " + TypeName(family.type));
    for (const auto& metric : family.metric) {
      std::string line = family.name + "{";
      for (const auto& label : metric.label) line += label.name + "=\"" + label.value + "\",";
      line += "}";
      if (!metric.histogram.bucket.empty()) {
        line += " " + std::to_string(metric.histogram.bucket.size()) + " buckets";
      }
      lines.insert(line);
    }
  }
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

std::vector<prometheus::MetricFamily> CollectAll(const Metrics& metrics) {
  auto families = metrics.registry()->Collect();
  for (auto& family : ProcessMetrics().Collect()) families.push_back(std::move(family));
  return families;
}

void SetInfos(Metrics* metrics) {
  metrics->SetInfo(Metric::kBuildInfo, {{"version", "v"}, {"revision", "r"}, {"python", "p"}});
  metrics->SetInfo(Metric::kIsolationInfo, {{"setting", "root"},
                                            {"seccomp", "on"},
                                            {"landlock", "ABI 7"},
                                            {"cgroup", "v2"},
                                            {"user_namespace", "on"}});
}

// CLOISTER_UPDATE_GOLDEN=1 writes the file anew; the difference is then reviewed like code.
TEST(MetricsTest, MatchTheGoldenFile) {
  Metrics metrics({"first", "second"});
  SetInfos(&metrics);
  const std::string shape = Shape(CollectAll(metrics));
  if (std::getenv("CLOISTER_UPDATE_GOLDEN") != nullptr) std::ofstream(GOLDEN_FILE) << shape;
  std::ifstream file(GOLDEN_FILE);
  const std::string golden((std::istreambuf_iterator<char>(file)),
                           std::istreambuf_iterator<char>());
  EXPECT_EQ(shape, golden) << "set CLOISTER_UPDATE_GOLDEN=1 if this change is wanted";
}

TEST(MetricsTest, SatisfyPromtool) {
  Metrics metrics({"first"});
  SetInfos(&metrics);
  FILE* promtool = ::popen("promtool check metrics", "w");
  ASSERT_NE(promtool, nullptr);
  const std::string text = prometheus::TextSerializer().Serialize(CollectAll(metrics));
  ::fwrite(text.data(), 1, text.size(), promtool);
  EXPECT_EQ(::pclose(promtool), 0) << "promtool is missing (package prometheus) or complains above";
}

TEST(MetricsTest, StayWithinTheSeriesBudget) {
  Metrics metrics({"a", "b", "c"});
  std::istringstream lines(prometheus::TextSerializer().Serialize(metrics.registry()->Collect()));
  size_t series = 0;
  for (std::string line; std::getline(lines, line);) series += line[0] != '#';
  EXPECT_LE(series, kSeriesBudget);
}

TEST(MetricsTest, EveryTableEntryExplainsItselfAndIsWellNamed) {
  for (const MetricSpec& spec : MetricTable()) {
    const std::string name(spec.name);
    EXPECT_GT(spec.help.size(), 10u) << name;
    EXPECT_EQ(spec.help.back(), '.') << name;
    EXPECT_EQ(name.ends_with("_total"), spec.type == MetricType::kCounter) << name;
    EXPECT_EQ(spec.buckets.empty(), spec.type != MetricType::kHistogram) << name;
    EXPECT_TRUE(std::is_sorted(spec.buckets.begin(), spec.buckets.end())) << name;
    EXPECT_LE(spec.labels.size(), IsInfo(spec) ? 5u : 2u) << name;
  }
}

class ServiceMetricsTest : public ::testing::Test {
 protected:
  double Counter(Metric metric, size_t first = 0, size_t second = 0) {
    return metrics_.counter(metric, first, second).Value();
  }
  double Gauge(Metric metric, size_t first = 0, size_t second = 0) {
    return metrics_.gauge(metric, first, second).Value();
  }
  uint64_t Observations(Metric metric, size_t first = 0, size_t second = 0) {
    return metrics_.histogram(metric, first, second).Collect().histogram.sample_count;
  }
  // As exposed: catches an index that does not mean what its name says.
  std::string Text() {
    return prometheus::TextSerializer().Serialize(metrics_.registry()->Collect());
  }

  void End(const absl::Status& status, v1::Outcome::Kind kind, int64_t sandbox_id = 0) {
    v1::Outcome outcome;
    outcome.set_kind(kind);
    outcome.mutable_usage()->set_stdout_bytes(10);
    outcome.mutable_usage()->set_stderr_bytes(3);
    outcome.set_truncated_stdout_bytes(1);
    const std::string name = "executions/x";
    observer_.OnExecutionEnded({.name = name,
                                .request_id = name,
                                .template_name = name,
                                .interpreter = name,
                                .sandbox_id = sandbox_id,
                                .queued = absl::ZeroDuration(),
                                .status = status,
                                .setup_error = name,
                                .outcome = outcome});
  }

  Metrics metrics_{{"first", "second"}};
  ServiceMetrics observer_{&metrics_};
};

TEST_F(ServiceMetricsTest, FollowsAnExecution) {
  observer_.OnExecutionAccepted(core::ExecutionKind::kOneShot);
  EXPECT_EQ(Gauge(Metric::kExecutionsQueued), 1);
  observer_.OnExecutionStarted(core::ExecutionKind::kOneShot, absl::Milliseconds(1));
  EXPECT_EQ(Gauge(Metric::kExecutionsQueued), 0);
  EXPECT_EQ(Gauge(Metric::kExecutionsActive), 1);
  End(absl::OkStatus(), v1::Outcome::KIND_WALL_TIMEOUT, 7);
  EXPECT_EQ(Gauge(Metric::kExecutionsActive), 0);
  EXPECT_EQ(Counter(Metric::kExecutionOutputBytes, 0), 10);
  EXPECT_EQ(Counter(Metric::kExecutionOutputBytes, 1), 3);
  EXPECT_EQ(Counter(Metric::kExecutionTruncations, 0), 1);
  EXPECT_EQ(Counter(Metric::kExecutionTruncations, 1), 0);
  EXPECT_EQ(Observations(Metric::kExecutionDuration, 0, 2), 1u);
  EXPECT_THAT(Text(), HasSubstr("cloister_executions_finished_total{kind=\"one_shot\",outcome="
                                "\"wall_timeout\"} 1"));
}

TEST_F(ServiceMetricsTest, TellsWhatNeverRanApart) {
  observer_.OnExecutionAccepted(core::ExecutionKind::kOneShot);
  End(core::MakeError(v1::ERROR_REASON_POOL_EXHAUSTED, "later"), v1::Outcome::KIND_UNSPECIFIED);
  EXPECT_EQ(Gauge(Metric::kExecutionsQueued), 0);
  EXPECT_EQ(Gauge(Metric::kExecutionsActive), 0);
  EXPECT_THAT(Text(), HasSubstr("outcome=\"not_run\"} 1"));
}

TEST_F(ServiceMetricsTest, AFailureAfterTheLeaseAndAnInterruptBeforeItLeaveTheGaugesRight) {
  observer_.OnExecutionAccepted(core::ExecutionKind::kOneShot);
  observer_.OnExecutionStarted(core::ExecutionKind::kOneShot, absl::Milliseconds(1));
  End(core::MakeError(v1::ERROR_REASON_SANDBOX_SETUP_FAILED, "no"), v1::Outcome::KIND_UNSPECIFIED,
      7);
  observer_.OnExecutionAccepted(core::ExecutionKind::kOneShot);
  End(absl::OkStatus(), v1::Outcome::KIND_INTERRUPTED);
  EXPECT_EQ(Gauge(Metric::kExecutionsQueued), 0);
  EXPECT_EQ(Gauge(Metric::kExecutionsActive), 0);
}

TEST_F(ServiceMetricsTest, EveryOutcomeHasItsLabel) {
  for (int kind = v1::Outcome::KIND_SUCCEEDED; kind < v1::Outcome::Kind_ARRAYSIZE; ++kind) {
    End(absl::OkStatus(), static_cast<v1::Outcome::Kind>(kind));
    std::string label = v1::Outcome::Kind_Name(static_cast<v1::Outcome::Kind>(kind)).substr(5);
    std::transform(label.begin(), label.end(), label.begin(), ::tolower);
    EXPECT_THAT(Text(), HasSubstr("outcome=\"" + label + "\"} 1"));
  }
}

TEST_F(ServiceMetricsTest, CountsByTemplate) {
  core::PoolState state;
  state.ready = 1, state.starting = 2, state.leased = 3, state.recycling = 4;
  state.target = 5, state.waiting = 6;
  observer_.OnPoolState("second", state);
  observer_.OnLeased("second", v1::START_KIND_COLD, absl::Milliseconds(3));
  observer_.OnLeaseFailed("second", core::LeaseFailure::kSetup);
  observer_.OnRecycled("second", core::RecycleReason::kDrain);
  observer_.OnZygoteEnded("second", core::ZygoteEnd::kCrashed, "why");
  observer_.OnAdmission("second", core::Admission::kShed);
  const std::string text = Text();
  for (const char* line :
       {"cloister_pool_sandboxes{state=\"ready\",template=\"second\"} 1",
        "cloister_pool_sandboxes{state=\"recycling\",template=\"second\"} 4",
        "cloister_pool_sandboxes{state=\"ready\",template=\"first\"} 0",
        "cloister_pool_target_sandboxes{template=\"second\"} 5",
        "cloister_pool_waiters{template=\"second\"} 6",
        "cloister_pool_leases_total{start=\"cold\",template=\"second\"} 1",
        "cloister_pool_lease_failures_total{reason=\"setup\",template=\"second\"} 1",
        "cloister_pool_recycles_total{reason=\"drain\",template=\"second\"} 1",
        "cloister_zygote_ends_total{reason=\"crashed\",template=\"second\"} 1",
        "cloister_admission_decisions_total{decision=\"shed\",template=\"second\"} 1"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST_F(ServiceMetricsTest, CountsCallsByStatus) {
  observer_.OnCallStarted(core::CallMethod::kExecute);
  EXPECT_EQ(Gauge(Metric::kCallsActive, 1), 1);
  observer_.OnCallEnded(core::CallMethod::kExecute, absl::UnavailableError("x"), absl::Seconds(1));
  EXPECT_EQ(Gauge(Metric::kCallsActive, 1), 0);
  EXPECT_THAT(Text(), HasSubstr("grpc_server_call_finished_total{grpc_method=\"cloister.v1."
                                "ExecutionService/Execute\",grpc_status=\"UNAVAILABLE\"} 1"));
}

TEST_F(ServiceMetricsTest, CountsTheRest) {
  observer_.OnInterrupted(core::InterruptResult::kTooLate, absl::Seconds(1));
  observer_.OnReplay(core::ReplayResult::kReused);
  observer_.OnReattach(core::ReattachResult::kExpired);
  observer_.OnStreamStalled();
  observer_.OnBufferedBytes(100);
  observer_.OnBufferedBytes(-40);
  observer_.OnRequestBytes(50);
  observer_.OnRequestBytes(-20);
  observer_.OnSpawnerLost("why");
  EXPECT_EQ(Counter(Metric::kInterrupts, 2), 1);
  EXPECT_EQ(Counter(Metric::kRequestReplays, 1), 1);
  EXPECT_EQ(Counter(Metric::kStreamReattachments, 2), 1);
  EXPECT_EQ(Counter(Metric::kStreamStalls), 1);
  EXPECT_EQ(Gauge(Metric::kStreamBufferedBytes), 60);
  EXPECT_EQ(Gauge(Metric::kRequestHeldBytes), 30);
  EXPECT_EQ(Counter(Metric::kSpawnerLost), 1);
}

TEST(ProcessMetricsTest, TellsPlausibleFigures) {
  std::map<std::string, double> values;
  for (const auto& family : ProcessMetrics().Collect()) {
    values[family.name] = family.metric[0].gauge.value + family.metric[0].counter.value;
  }
  EXPECT_GT(values["process_resident_memory_bytes"], 1e6);
  EXPECT_GT(values["process_virtual_memory_bytes"], values["process_resident_memory_bytes"]);
  EXPECT_GE(values["process_open_fds"], 3);
  EXPECT_GT(values["process_max_fds"], values["process_open_fds"]);
  EXPECT_GT(values["process_start_time_seconds"], 1.6e9);
}

}  // namespace
}  // namespace cloister::observability
