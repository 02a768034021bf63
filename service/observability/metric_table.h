// Every metric of the server, in one table: name, type, help, labels with their closed sets of
// values. Alerts, dashboards and the golden file are checked against it. A new metric is one line
// here and one value in `Metric`.
//
// Labels never hold what a caller can choose (names, paths, messages): see each label's values.

#ifndef CLOISTER_SERVICE_OBSERVABILITY_METRIC_TABLE_H_
#define CLOISTER_SERVICE_OBSERVABILITY_METRIC_TABLE_H_

#include <cstddef>
#include <span>
#include <string_view>

namespace cloister::observability {

// In the order of the table.
enum class Metric {
  kCallsStarted,
  kCallsFinished,
  kCallDuration,
  kCallsActive,
  kBuildInfo,
  kIsolationInfo,
  kReady,
  kDraining,
  kPoolSandboxes,
  kPoolTarget,
  kPoolWaiters,
  kLivePoolSandboxes,
  kLivePoolTarget,
  kLivePoolWaiters,
  kPoolLeases,
  kPoolLeaseWait,
  kPoolLeaseFailures,
  kPoolRecycles,
  kZygoteStarts,
  kZygoteEnds,
  kZygoteWarmUp,
  kSandboxStarts,
  kSandboxStartDuration,
  kSandboxTeardownDuration,
  kSandboxCpu,
  kSpawnerLost,
  kLiveSandboxes,
  kLiveSandboxLimit,
  kLiveStarts,
  kLiveStartDuration,
  kLiveRestarts,
  kLiveLosses,
  kLiveEnds,
  kInterpreters,
  kInterpreterMemory,
  kInterpreterStarts,
  kInterpreterStartDuration,
  kInterpreterLosses,
  kAdmissions,
  kExecutionsStarted,
  kExecutionsFinished,
  kExecutionsActive,
  kExecutionsQueued,
  kExecutionQueueDuration,
  kExecutionDuration,
  kExecutionFirstOutput,
  kExecutionCpu,
  kExecutionPeakMemory,
  kExecutionOutputBytes,
  kExecutionTruncations,
  kInterrupts,
  kInterruptDuration,
  kStreamReattachments,
  kRequestReplays,
  kRequestHeldBytes,
  kStreamBufferedBytes,
  kStreamStalls,
  kMessages,
  kMessageBytes,
  kMessageConnections,
  kHostCalls,
  kHostCallDuration,
  kTokenReloads,
  kLastSuccess,
  kLogMessages,
  kCount,
};

enum class MetricType { kCounter, kGauge, kHistogram };

struct Label {
  std::string_view name;
  // Empty: the names of the configured templates, or, for an info metric, what is known at start.
  std::span<const std::string_view> values;
};

struct MetricSpec {
  Metric id;
  MetricType type;
  std::string_view name;
  std::string_view help;
  std::span<const Label> labels;
  // Upper bounds, of histograms only.
  std::span<const double> buckets;
};

// All of them, in the order of Metric. Info metrics (names end in _info) have one series, set at
// start.
std::span<const MetricSpec> MetricTable();

inline bool IsInfo(const MetricSpec& spec) { return spec.name.ends_with("_info"); }

}  // namespace cloister::observability

#endif  // CLOISTER_SERVICE_OBSERVABILITY_METRIC_TABLE_H_
