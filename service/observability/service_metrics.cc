#include "service/observability/service_metrics.h"

#include "absl/time/clock.h"
#include "service/base/proto_time.h"

namespace cloister::observability {
namespace {

// Where an enum mirrors a set of the table, its value is the index.
template <typename Enum>
size_t IndexOf(Enum value) {
  return static_cast<size_t>(value);
}

constexpr size_t kOk = 0;
constexpr size_t kError = 1;
constexpr size_t kStdout = 0;
constexpr size_t kStderr = 1;

size_t StartIndex(v1::StartKind start) { return start == v1::START_KIND_WARM ? 0 : 1; }

size_t ProfileIndex(v1::Interpreter::Profile profile) {
  return static_cast<size_t>(profile - v1::Interpreter::PROFILE_MAIN);
}

// Index into "ok", "program", "limit", "service".
size_t ResultIndex(v1::Outcome::Kind kind) {
  switch (kind) {
    case v1::Outcome::KIND_SUCCEEDED:
      return 0;
    case v1::Outcome::KIND_RAISED:
    case v1::Outcome::KIND_EXITED:
    case v1::Outcome::KIND_SIGNALED:
    case v1::Outcome::KIND_INTERRUPTED:
    case v1::Outcome::KIND_POLICY_VIOLATION:
      return 1;
    case v1::Outcome::KIND_WALL_TIMEOUT:
    case v1::Outcome::KIND_CPU_TIMEOUT:
    case v1::Outcome::KIND_MEMORY_LIMIT:
    case v1::Outcome::KIND_OUTPUT_LIMIT:
      return 2;
    default:
      return 3;
  }
}

double Seconds(const google::protobuf::Duration& duration) {
  return absl::ToDoubleSeconds(base::FromProto(duration));
}

}  // namespace

void ServiceMetrics::OnPoolState(const std::string& pool, const core::PoolState& state) {
  const size_t index = metrics_.TemplateIndex(pool);
  const int counts[] = {state.ready, state.starting, state.leased, state.recycling};
  for (size_t i = 0; i < std::size(counts); ++i) {
    metrics_.gauge(Metric::kPoolSandboxes, index, i).Set(counts[i]);
  }
  metrics_.gauge(Metric::kPoolTarget, index).Set(state.target);
  metrics_.gauge(Metric::kPoolWaiters, index).Set(state.waiting);
}

void ServiceMetrics::OnLivePoolState(const std::string& pool, const core::PoolState& state) {
  const size_t index = metrics_.TemplateIndex(pool);
  const int counts[] = {state.ready, state.starting, state.leased, state.recycling};
  for (size_t i = 0; i < std::size(counts); ++i) {
    metrics_.gauge(Metric::kLivePoolSandboxes, index, i).Set(counts[i]);
  }
  metrics_.gauge(Metric::kLivePoolTarget, index).Set(state.target);
  metrics_.gauge(Metric::kLivePoolWaiters, index).Set(state.waiting);
}

void ServiceMetrics::OnAdmission(const std::string& pool, core::Admission decision) {
  metrics_.counter(Metric::kAdmissions, metrics_.TemplateIndex(pool), IndexOf(decision))
      .Increment();
}

void ServiceMetrics::OnLeased(const std::string& pool, v1::StartKind start, absl::Duration waited) {
  const size_t index = metrics_.TemplateIndex(pool);
  metrics_.counter(Metric::kPoolLeases, index, StartIndex(start)).Increment();
  metrics_.histogram(Metric::kPoolLeaseWait, index, StartIndex(start))
      .Observe(absl::ToDoubleSeconds(waited));
}

void ServiceMetrics::OnLeaseFailed(const std::string& pool, core::LeaseFailure reason) {
  metrics_.counter(Metric::kPoolLeaseFailures, metrics_.TemplateIndex(pool), IndexOf(reason))
      .Increment();
}

void ServiceMetrics::OnRecycled(const std::string& pool, core::RecycleReason reason) {
  metrics_.counter(Metric::kPoolRecycles, metrics_.TemplateIndex(pool), IndexOf(reason))
      .Increment();
}

void ServiceMetrics::OnSandboxStarted(const std::string& pool, absl::Duration took) {
  const size_t index = metrics_.TemplateIndex(pool);
  metrics_.counter(Metric::kSandboxStarts, index, kOk).Increment();
  metrics_.histogram(Metric::kSandboxStartDuration, index).Observe(absl::ToDoubleSeconds(took));
}

void ServiceMetrics::OnSandboxStartFailed(const std::string& pool, const absl::Status& /*why*/) {
  metrics_.counter(Metric::kSandboxStarts, metrics_.TemplateIndex(pool), kError).Increment();
}

void ServiceMetrics::OnSandboxGone(const std::string& pool, const sandbox::SandboxExit& exit) {
  metrics_.histogram(Metric::kSandboxTeardownDuration)
      .Observe(absl::ToDoubleSeconds(exit.teardown));
  metrics_.counter(Metric::kSandboxCpu, metrics_.TemplateIndex(pool))
      .Increment(absl::ToDoubleSeconds(exit.cpu_time));
}

void ServiceMetrics::OnZygoteStarted(const std::string& pool, const sandbox::ZygoteInfo& info) {
  const size_t index = metrics_.TemplateIndex(pool);
  metrics_.counter(Metric::kZygoteStarts, index, kOk).Increment();
  metrics_.gauge(Metric::kZygoteWarmUp, index).Set(absl::ToDoubleSeconds(info.warm_up));
}

void ServiceMetrics::OnZygoteStartFailed(const std::string& pool, const absl::Status& /*why*/) {
  metrics_.counter(Metric::kZygoteStarts, metrics_.TemplateIndex(pool), kError).Increment();
}

void ServiceMetrics::OnZygoteEnded(const std::string& pool, core::ZygoteEnd how,
                                   const std::string& /*reason*/) {
  metrics_.counter(Metric::kZygoteEnds, metrics_.TemplateIndex(pool), IndexOf(how)).Increment();
}

void ServiceMetrics::OnSpawnerLost(const std::string& /*reason*/) {
  metrics_.counter(Metric::kSpawnerLost).Increment();
}

void ServiceMetrics::OnLiveState(v1::Sandbox::State from, v1::Sandbox::State to) {
  constexpr int kFirst = v1::Sandbox::STATE_STARTING;
  if (from >= kFirst) metrics_.gauge(Metric::kLiveSandboxes, from - kFirst).Decrement();
  if (to >= kFirst) metrics_.gauge(Metric::kLiveSandboxes, to - kFirst).Increment();
}

void ServiceMetrics::OnLiveStarted(const std::string& /*sandbox*/, const std::string& pool,
                                   v1::StartKind start, absl::Duration took) {
  const size_t index = metrics_.TemplateIndex(pool);
  metrics_.counter(Metric::kLiveStarts, index, StartIndex(start)).Increment();
  metrics_.histogram(Metric::kLiveStartDuration, index, StartIndex(start))
      .Observe(absl::ToDoubleSeconds(took));
}

void ServiceMetrics::OnLiveRestarted(const std::string& /*sandbox*/) {
  metrics_.counter(Metric::kLiveRestarts).Increment();
}

void ServiceMetrics::OnLiveLost(const std::string& /*sandbox*/, v1::Outcome::Kind cause,
                                const std::string& /*detail*/) {
  metrics_.counter(Metric::kLiveLosses, cause).Increment();
}

void ServiceMetrics::OnLiveEnded(const std::string& /*sandbox*/, core::LiveEnd how) {
  metrics_.counter(Metric::kLiveEnds, IndexOf(how)).Increment();
}

void ServiceMetrics::OnInterpreterState(v1::Interpreter::Profile profile,
                                        v1::Interpreter::State from, v1::Interpreter::State to) {
  constexpr int kFirst = v1::Interpreter::STATE_STARTING;
  const size_t row = ProfileIndex(profile);
  if (from >= kFirst) metrics_.gauge(Metric::kInterpreters, row, from - kFirst).Decrement();
  if (to >= kFirst) metrics_.gauge(Metric::kInterpreters, row, to - kFirst).Increment();
}

void ServiceMetrics::OnInterpreterStarted(const std::string& /*interpreter*/,
                                          v1::Interpreter::Profile profile, absl::Duration took) {
  metrics_.counter(Metric::kInterpreterStarts, ProfileIndex(profile)).Increment();
  metrics_.histogram(Metric::kInterpreterStartDuration, ProfileIndex(profile))
      .Observe(absl::ToDoubleSeconds(took));
}

void ServiceMetrics::OnInterpreterLost(const std::string& /*interpreter*/,
                                       v1::Interpreter::Profile profile, v1::Outcome::Kind cause,
                                       const std::string& /*detail*/) {
  metrics_.counter(Metric::kInterpreterLosses, ProfileIndex(profile), cause).Increment();
}

void ServiceMetrics::OnInterpreterMemory(v1::Interpreter::Profile profile, int64_t change) {
  metrics_.gauge(Metric::kInterpreterMemory, ProfileIndex(profile))
      .Increment(static_cast<double>(change));
}

void ServiceMetrics::OnExecutionAccepted(core::ExecutionKind /*kind*/) {
  metrics_.gauge(Metric::kExecutionsQueued).Increment();
}

void ServiceMetrics::OnExecutionStarted(core::ExecutionKind kind, absl::Duration queued) {
  metrics_.gauge(Metric::kExecutionsQueued).Decrement();
  metrics_.counter(Metric::kExecutionsStarted, IndexOf(kind)).Increment();
  metrics_.gauge(Metric::kExecutionsActive, IndexOf(kind)).Increment();
  metrics_.histogram(Metric::kExecutionQueueDuration, IndexOf(kind))
      .Observe(absl::ToDoubleSeconds(queued));
}

void ServiceMetrics::OnExecutionEnded(const core::ExecutionRecord& record) {
  const size_t kind = IndexOf(record.kind);
  if (record.sandbox_id == 0) {
    metrics_.gauge(Metric::kExecutionsQueued).Decrement();
  } else {
    metrics_.gauge(Metric::kExecutionsActive, kind).Decrement();
  }
  if (!record.status.ok()) {
    metrics_.counter(Metric::kExecutionsFinished, kind, 0).Increment();
    return;
  }
  const size_t outcome = record.outcome.kind() == v1::Outcome::KIND_UNSPECIFIED
                             ? v1::Outcome::KIND_INTERPRETER_LOST
                             : record.outcome.kind();
  metrics_.counter(Metric::kExecutionsFinished, kind, outcome).Increment();
  if (record.outcome.kind() == v1::Outcome::KIND_SUCCEEDED) {
    metrics_.gauge(Metric::kLastSuccess).Set(absl::ToUnixSeconds(absl::Now()));
  }
  CountProgram(record);
}

void ServiceMetrics::CountProgram(const core::ExecutionRecord& record) {
  const size_t kind = IndexOf(record.kind);
  const v1::Outcome& outcome = record.outcome;
  const v1::Usage& usage = outcome.usage();
  metrics_.histogram(Metric::kExecutionDuration, kind, ResultIndex(outcome.kind()))
      .Observe(Seconds(usage.wall_time()));
  metrics_.histogram(Metric::kExecutionCpu, kind).Observe(Seconds(usage.cpu_time()));
  metrics_.histogram(Metric::kExecutionPeakMemory, kind)
      .Observe(static_cast<double>(usage.peak_memory_bytes()));
  if (outcome.stage_times().has_first_output()) {
    metrics_.histogram(Metric::kExecutionFirstOutput, kind)
        .Observe(Seconds(outcome.stage_times().first_output()));
  }
  metrics_.counter(Metric::kExecutionOutputBytes, kStdout)
      .Increment(static_cast<double>(usage.stdout_bytes()));
  metrics_.counter(Metric::kExecutionOutputBytes, kStderr)
      .Increment(static_cast<double>(usage.stderr_bytes()));
  if (outcome.truncated_stdout_bytes() > 0) {
    metrics_.counter(Metric::kExecutionTruncations, kStdout).Increment();
  }
  if (outcome.truncated_stderr_bytes() > 0) {
    metrics_.counter(Metric::kExecutionTruncations, kStderr).Increment();
  }
}

void ServiceMetrics::OnInterrupted(core::InterruptResult result, absl::Duration took) {
  metrics_.counter(Metric::kInterrupts, IndexOf(result)).Increment();
  metrics_.histogram(Metric::kInterruptDuration).Observe(absl::ToDoubleSeconds(took));
}

void ServiceMetrics::OnReplay(core::ReplayResult result) {
  metrics_.counter(Metric::kRequestReplays, IndexOf(result)).Increment();
}

void ServiceMetrics::OnReattach(core::ReattachResult result) {
  metrics_.counter(Metric::kStreamReattachments, IndexOf(result)).Increment();
}

void ServiceMetrics::OnMessage(core::MessageDirection direction, size_t bytes) {
  metrics_.counter(Metric::kMessages, IndexOf(direction)).Increment();
  metrics_.counter(Metric::kMessageBytes, IndexOf(direction)).Increment(static_cast<double>(bytes));
}

void ServiceMetrics::OnHostCall(core::HostCallResult result, absl::Duration took) {
  metrics_.counter(Metric::kHostCalls, IndexOf(result)).Increment();
  metrics_.histogram(Metric::kHostCallDuration).Observe(absl::ToDoubleSeconds(took));
}

void ServiceMetrics::OnClientConnected(int change) {
  metrics_.gauge(Metric::kMessageConnections).Increment(change);
}

void ServiceMetrics::OnStreamStalled() { metrics_.counter(Metric::kStreamStalls).Increment(); }

void ServiceMetrics::OnBufferedBytes(int64_t change) {
  metrics_.gauge(Metric::kStreamBufferedBytes).Increment(static_cast<double>(change));
}

void ServiceMetrics::OnRequestBytes(int64_t change) {
  metrics_.gauge(Metric::kRequestHeldBytes).Increment(static_cast<double>(change));
}

void ServiceMetrics::OnCallStarted(core::CallMethod method) {
  metrics_.counter(Metric::kCallsStarted, IndexOf(method)).Increment();
  metrics_.gauge(Metric::kCallsActive, IndexOf(method)).Increment();
}

void ServiceMetrics::OnCallEnded(core::CallMethod method, const absl::Status& status,
                                 absl::Duration took) {
  metrics_.gauge(Metric::kCallsActive, IndexOf(method)).Decrement();
  metrics_.counter(Metric::kCallsFinished, IndexOf(method), IndexOf(status.code())).Increment();
  metrics_.histogram(Metric::kCallDuration, IndexOf(method)).Observe(absl::ToDoubleSeconds(took));
}

}  // namespace cloister::observability
