#include "service/observability/metric_table.h"

#include "service/core/call_observer.h"

namespace cloister::observability {
namespace {

using std::string_view;

// Closed sets. Where a set mirrors an enum of the code, its order is the enum's.
constexpr string_view kCodes[] = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};
constexpr string_view kSandboxStates[] = {"ready", "starting", "leased", "recycling"};
constexpr string_view kStarts[] = {"warm", "cold"};
constexpr string_view kLeaseFailures[] = {"exhausted", "overloaded", "deadline",
                                          "draining",  "setup",      "abandoned"};
constexpr string_view kRecycles[] = {"used", "age", "rotated", "lost", "scale_down", "drain"};
constexpr string_view kResults[] = {"ok", "error"};
constexpr string_view kZygoteEnds[] = {"rotated", "stopped", "crashed"};
constexpr string_view kAdmissions[] = {"accept", "queue", "shed"};
constexpr string_view kKinds[] = {"one_shot", "cell"};
// As cloister.v1.Sandbox.State, from STARTING on.
constexpr string_view kLiveStates[] = {"starting", "ready", "busy", "lost"};
// As cloister.v1.Interpreter.Profile, from MAIN on.
constexpr string_view kProfiles[] = {"main", "isolated", "shared_gil", "process"};
constexpr string_view kLiveEnds[] = {"deleted", "ttl", "idle_timeout", "drain", "failed"};
// As cloister.v1.Outcome.Kind; the first stands for executions that the service could not run.
constexpr string_view kOutcomes[] = {"not_run",          "succeeded",    "raised",
                                     "exited",           "signaled",     "wall_timeout",
                                     "cpu_timeout",      "memory_limit", "output_limit",
                                     "policy_violation", "interrupted",  "interpreter_lost"};
constexpr string_view kExecutionResults[] = {"ok", "program", "limit", "service"};
constexpr string_view kStreams[] = {"stdout", "stderr"};
constexpr string_view kInterruptResults[] = {"stopped", "escalated", "too_late"};
constexpr string_view kReattachResults[] = {"attached", "not_found", "expired"};
constexpr string_view kReplayResults[] = {"joined", "reused"};
constexpr string_view kDirections[] = {"in", "out"};
constexpr string_view kHostCallResults[] = {"returned",  "raised", "timed_out",
                                            "cancelled", "closed", "not_offered"};
constexpr string_view kSeverities[] = {"debug", "info", "warn", "error"};

constexpr Label kMethod[] = {{"grpc_method", core::kCallMethodNames}};
constexpr Label kMethodStatus[] = {{"grpc_method", core::kCallMethodNames},
                                   {"grpc_status", kCodes}};
constexpr Label kBuild[] = {{"version", {}}, {"revision", {}}, {"python", {}}};
constexpr Label kIsolation[] = {
    {"setting", {}}, {"seccomp", {}}, {"landlock", {}}, {"cgroup", {}}, {"user_namespace", {}}};
constexpr Label kTemplate[] = {{"template", {}}};
constexpr Label kTemplateState[] = {{"template", {}}, {"state", kSandboxStates}};
constexpr Label kTemplateStart[] = {{"template", {}}, {"start", kStarts}};
constexpr Label kTemplateFailure[] = {{"template", {}}, {"reason", kLeaseFailures}};
constexpr Label kTemplateRecycle[] = {{"template", {}}, {"reason", kRecycles}};
constexpr Label kResult[] = {{"result", kResults}};
constexpr Label kTemplateResult[] = {{"template", {}}, {"result", kResults}};
constexpr Label kTemplateZygoteEnd[] = {{"template", {}}, {"reason", kZygoteEnds}};
constexpr Label kTemplateAdmission[] = {{"template", {}}, {"decision", kAdmissions}};
constexpr Label kKind[] = {{"kind", kKinds}};
constexpr Label kKindOutcome[] = {{"kind", kKinds}, {"outcome", kOutcomes}};
constexpr Label kKindResult[] = {{"kind", kKinds}, {"result", kExecutionResults}};
constexpr Label kLiveState[] = {{"state", kLiveStates}};
constexpr Label kProfile[] = {{"profile", kProfiles}};
constexpr Label kProfileState[] = {{"profile", kProfiles}, {"state", kLiveStates}};
constexpr Label kProfileOutcome[] = {{"profile", kProfiles}, {"outcome", kOutcomes}};
constexpr Label kLiveEnd[] = {{"reason", kLiveEnds}};
constexpr Label kOutcome[] = {{"outcome", kOutcomes}};
constexpr Label kStream[] = {{"stream", kStreams}};
constexpr Label kInterruptResult[] = {{"result", kInterruptResults}};
constexpr Label kReattachResult[] = {{"result", kReattachResults}};
constexpr Label kReplayResult[] = {{"result", kReplayResults}};
constexpr Label kDirection[] = {{"direction", kDirections}};
constexpr Label kHostCallResult[] = {{"result", kHostCallResults}};
constexpr Label kSeverity[] = {{"severity", kSeverities}};

// Seconds; bytes.
constexpr double kWait[] = {.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5};
constexpr double kStartUp[] = {.0005, .001, .002, .005, .01, .025, .05, .1, .25, 1, 5};
constexpr double kRun[] = {.0005, .001, .003, .01, .03, .1, .3, 1, 3, 10, 30, 100, 300, 600};
constexpr double kMemory[] = {0x1p20, 0x1p22, 0x1p24, 0x1p25, 0x1p26, 0x1p27, 0x1p28,
                              0x1p29, 0x1p30, 0x1p31, 0x1p32, 0x1p33, 0x1p34};

constexpr MetricType kC = MetricType::kCounter;
constexpr MetricType kG = MetricType::kGauge;
constexpr MetricType kH = MetricType::kHistogram;

constexpr MetricSpec kTable[] = {
    {Metric::kCallsStarted, kC, "grpc_server_call_started_total", "Calls received.", kMethod, {}},
    {Metric::kCallsFinished,
     kC,
     "grpc_server_call_finished_total",
     "Calls whose status was sent, by that status.",
     kMethodStatus,
     {}},
    {Metric::kCallDuration, kH, "grpc_server_call_duration_seconds",
     "From the receipt of a call until its status was sent.", kMethod, kRun},
    {Metric::kCallsActive,
     kG,
     "cloister_rpc_active",
     "Calls under way; a stuck stream stays here.",
     kMethod,
     {}},
    {Metric::kBuildInfo,
     kG,
     "cloister_build_info",
     "What runs; constant 1. `python` is the default template's.",
     kBuild,
     {}},
    {Metric::kIsolationInfo,
     kG,
     "cloister_isolation_info",
     "The walls round every sandbox of this server; constant 1.",
     kIsolation,
     {}},
    {Metric::kReady,
     kG,
     "cloister_ready",
     "Whether new work is taken, as the health service says.",
     {},
     {}},
    {Metric::kDraining, kG, "cloister_draining", "Whether the server is about to stop.", {}, {}},
    {Metric::kPoolSandboxes,
     kG,
     "cloister_pool_sandboxes",
     "Sandboxes that exist, by state.",
     kTemplateState,
     {}},
    {Metric::kPoolTarget,
     kG,
     "cloister_pool_target_sandboxes",
     "Ready sandboxes the pool aims at.",
     kTemplate,
     {}},
    {Metric::kPoolWaiters,
     kG,
     "cloister_pool_waiters",
     "Requests waiting for a sandbox; lasting values mean the pool is too small.",
     kTemplate,
     {}},
    {Metric::kLivePoolSandboxes, kG, "cloister_live_pool_sandboxes",
     "Sandboxes in the pools that live ones are taken from, by state.", kTemplateState, {}},
    {Metric::kLivePoolTarget, kG, "cloister_live_pool_target_sandboxes",
     "Ready sandboxes that pool aims at; 0 until the first is asked for.", kTemplate, {}},
    {Metric::kLivePoolWaiters, kG, "cloister_live_pool_waiters",
     "Creations of live sandboxes waiting for one.", kTemplate, {}},
    {Metric::kPoolLeases,
     kC,
     "cloister_pool_leases_total",
     "Sandboxes handed out; cold ones had to be made first.",
     kTemplateStart,
     {}},
    {Metric::kPoolLeaseWait, kH, "cloister_pool_lease_wait_seconds",
     "From asking for a sandbox until having it.", kTemplateStart, kWait},
    {Metric::kPoolLeaseFailures,
     kC,
     "cloister_pool_lease_failures_total",
     "Requests that got no sandbox, by reason.",
     kTemplateFailure,
     {}},
    {Metric::kPoolRecycles,
     kC,
     "cloister_pool_recycles_total",
     "Sandboxes that left the pool, by reason.",
     kTemplateRecycle,
     {}},
    {Metric::kZygoteStarts,
     kC,
     "cloister_zygote_starts_total",
     "Zygotes started.",
     kTemplateResult,
     {}},
    {Metric::kZygoteEnds,
     kC,
     "cloister_zygote_ends_total",
     "Zygotes that ended; crashed ones want a look at the log.",
     kTemplateZygoteEnd,
     {}},
    {Metric::kZygoteWarmUp,
     kG,
     "cloister_zygote_warm_up_seconds",
     "What the newest zygote took until it could fork.",
     kTemplate,
     {}},
    {Metric::kSandboxStarts,
     kC,
     "cloister_sandbox_starts_total",
     "Sandboxes made.",
     kTemplateResult,
     {}},
    {Metric::kSandboxStartDuration, kH, "cloister_sandbox_start_seconds",
     "From asking for a sandbox until it was confined and waited for a program.", kTemplate,
     kStartUp},
    {Metric::kSandboxTeardownDuration,
     kH,
     "cloister_sandbox_teardown_seconds",
     "From the end of a sandbox until nothing of it was left.",
     {},
     kStartUp},
    {Metric::kSandboxCpu,
     kC,
     "cloister_sandbox_cpu_seconds_total",
     "Processor time of sandboxes over their whole lives, those never used included.",
     kTemplate,
     {}},
    {Metric::kSpawnerLost,
     kC,
     "cloister_spawner_lost_total",
     "Times the spawner was lost; the server stops then.",
     {},
     {}},
    {Metric::kLiveSandboxes, kG, "cloister_live_sandboxes",
     "Sandboxes that stay with their users, by state.", kLiveState, {}},
    {Metric::kLiveSandboxLimit,
     kG,
     "cloister_live_sandboxes_limit",
     "How many of them there may be at once.",
     {},
     {}},
    {Metric::kLiveStarts, kC, "cloister_live_sandbox_starts_total",
     "Interpreters given to live sandboxes, restarts included.", kTemplateStart, {}},
    {Metric::kLiveStartDuration, kH, "cloister_live_sandbox_start_seconds",
     "From asking for a live sandbox until its interpreter waited for code.", kTemplateStart, kWait},
    {Metric::kLiveRestarts,
     kC,
     "cloister_live_sandbox_restarts_total",
     "Calls of RestartSandbox.",
     {},
     {}},
    {Metric::kLiveLosses, kC, "cloister_live_sandbox_losses_total",
     "Live sandboxes that lost their interpreter, by what ended it.", kOutcome, {}},
    {Metric::kLiveEnds, kC, "cloister_live_sandbox_ends_total",
     "Live sandboxes that are no more, by reason.", kLiveEnd, {}},
    {Metric::kInterpreters,
     kG,
     "cloister_interpreters",
     "Interpreters of live sandboxes, by profile and state.",
     kProfileState,
     {}},
    {Metric::kInterpreterMemory,
     kG,
     "cloister_interpreter_memory_bytes",
     "What interpreters hold by the guests' own account when their last execution ended; 0 for those that "
     "the cgroup counts.",
     kProfile,
     {}},
    {Metric::kInterpreterStarts,
     kC,
     "cloister_interpreter_starts_total",
     "Further interpreters made, restarts included.",
     kProfile,
     {}},
    {Metric::kInterpreterStartDuration, kH, "cloister_interpreter_start_seconds",
     "From asking for a further interpreter until it waited for code.", kProfile, kStartUp},
    {Metric::kInterpreterLosses,
     kC,
     "cloister_interpreter_losses_total",
     "Further interpreters lost while their sandbox went on, by what ended them.",
     kProfileOutcome,
     {}},
    {Metric::kAdmissions,
     kC,
     "cloister_admission_decisions_total",
     "What became of new requests: a ready sandbox, the queue, or a refusal.",
     kTemplateAdmission,
     {}},
    {Metric::kExecutionsStarted,
     kC,
     "cloister_executions_started_total",
     "Programs handed to an interpreter.",
     kKind,
     {}},
    {Metric::kExecutionsFinished,
     kC,
     "cloister_executions_finished_total",
     "Executions that ended, by outcome.",
     kKindOutcome,
     {}},
    {Metric::kExecutionsActive, kG, "cloister_executions_active", "Programs running.", kKind, {}},
    {Metric::kExecutionsQueued,
     kG,
     "cloister_executions_queued",
     "Executions waiting for a sandbox, or for their turn in a live one.",
     {},
     {}},
    {Metric::kExecutionQueueDuration, kH, "cloister_execution_queue_seconds",
     "From admission until a sandbox was leased, or a live one free.", kKind, kWait},
    {Metric::kExecutionDuration, kH, "cloister_execution_duration_seconds",
     "Wall time of programs. `limit`: a limit ended it; `service`: the fault is ours.", kKindResult,
     kRun},
    {Metric::kExecutionFirstOutput, kH, "cloister_execution_first_output_seconds",
     "From the start of a program to its first output.", kKind, kRun},
    {Metric::kExecutionCpu, kH, "cloister_execution_cpu_seconds", "Processor time of programs.",
     kKind, kRun},
    {Metric::kExecutionPeakMemory, kH, "cloister_execution_peak_memory_bytes",
     "Highest memory of programs.", kKind, kMemory},
    {Metric::kExecutionOutputBytes,
     kC,
     "cloister_execution_output_bytes_total",
     "What programs wrote.",
     kStream,
     {}},
    {Metric::kExecutionTruncations,
     kC,
     "cloister_execution_truncations_total",
     "Executions of which output was not delivered.",
     kStream,
     {}},
    {Metric::kInterrupts,
     kC,
     "cloister_interrupts_total",
     "Interrupts; escalated ones had to kill.",
     kInterruptResult,
     {}},
    {Metric::kInterruptDuration,
     kH,
     "cloister_interrupt_seconds",
     "From an interrupt to the end of the program.",
     {},
     kWait},
    {Metric::kStreamReattachments, kC, "cloister_stream_reattachments_total",
     "Calls of AttachExecution, by result.", kReattachResult, {}},
    {Metric::kRequestReplays, kC, "cloister_request_replays_total",
     "Requests with a request_id seen before; reused ones had another payload.", kReplayResult, {}},
    {Metric::kRequestHeldBytes,
     kG,
     "cloister_request_held_bytes",
     "What requests that have not started hold in memory; refused past queue.maximum_bytes.",
     {},
     {}},
    {Metric::kStreamBufferedBytes,
     kG,
     "cloister_stream_buffered_bytes",
     "Events held for readers, over all executions.",
     {},
     {}},
    {Metric::kStreamStalls,
     kC,
     "cloister_stream_stalls_total",
     "Times a slow reader stopped its program.",
     {},
     {}},
    {Metric::kMessages, kC, "cloister_messages_total",
     "Messages into interpreters' inboxes, and from interpreters to clients.", kDirection, {}},
    {Metric::kMessageBytes, kC, "cloister_message_bytes_total", "The same, in bytes of their clones.", kDirection, {}},
    {Metric::kMessageConnections,
     kG,
     "cloister_message_connections",
     "Clients connected to interpreters.",
     {},
     {}},
    {Metric::kHostCalls, kC, "cloister_host_calls_total",
     "Calls of clients' functions, by what became of them.", kHostCallResult, {}},
    {Metric::kHostCallDuration, kH, "cloister_host_call_seconds",
     "From such a call until its answer, or until nobody waited any more.", {}, kRun},
    {Metric::kTokenReloads, kC, "cloister_token_reloads_total",
     "Times that the file of tokens was read again; with error, what it said before stays.", kResult,
     {}},
    {Metric::kLastSuccess,
     kG,
     "cloister_last_success_timestamp_seconds",
     "When a program last ran to its end; 0 for never.",
     {},
     {}},
    {Metric::kLogMessages, kC, "cloister_log_messages_total",
     "Lines logged, by severity.", kSeverity, {}},
};

static_assert(std::size(kTable) == static_cast<size_t>(Metric::kCount));
static_assert([] {
  for (size_t i = 0; i < std::size(kTable); ++i) {
    if (static_cast<size_t>(kTable[i].id) != i) return false;
  }
  return true;
}());

}  // namespace

std::span<const MetricSpec> MetricTable() { return kTable; }

}  // namespace cloister::observability
