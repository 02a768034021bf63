#include "service/core/execution_manager.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "service/core/error.h"
#include "service/core/placed_files.h"

namespace cloister::core {
namespace {

// Another server is there at once; this one, restarted, about then.
constexpr absl::Duration kDrainingRetryDelay = absl::Seconds(1);

// Whether anybody can ask for it again: by the name that its first event told, or by its
// request_id.
bool IsWorthRetaining(const Execution& execution) {
  return execution.result().status.ok() &&
         (execution.mode() == ExecutionMode::kStream || !execution.request_id().empty());
}

absl::Status NotFoundError(const std::string& name) {
  return MakeError(v1::ERROR_REASON_EXECUTION_NOT_FOUND,
                   absl::StrCat("there is no execution \"", name,
                                "\"; it never was, or it ended longer ago than executions are "
                                "retained"));
}

}  // namespace

ExecutionManager::ExecutionManager(sandbox::Loop* loop, SandboxSource* source,
                                   ServiceObserver* observer, ExecutionManagerOptions options,
                                   InterpreterDirectory* interpreters)
    : loop_(loop),
      source_(source),
      observer_(observer),
      options_(std::move(options)),
      interpreters_(interpreters),
      registry_(loop, options_.retention) {}

ExecutionManager::~ExecutionManager() { loop_->Cancel(drain_timer_); }

absl::StatusOr<std::shared_ptr<Execution>> ExecutionManager::Start(ExecutionRequest request) {
  if (!request.request_id.empty()) {
    std::shared_ptr<Execution> earlier = registry_.FindByRequestId(request.request_id);
    if (earlier != nullptr) return Repeat(std::move(earlier), request);
  }
  if (draining_) {
    return WithRetryDelay(
        MakeError(v1::ERROR_REASON_SERVER_DRAINING, "the server is about to stop; try another"),
        kDrainingRetryDelay);
  }
  std::shared_ptr<TurnSource> interpreter;
  if (!request.interpreter.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(interpreter, FindInterpreter(request.interpreter));
    request.limits = request.cell.ApplyTo(interpreter->limits());
    const std::string problem =
        PlacingProblem(request.program.program.files(), request.limits.memory_bytes);
    if (!problem.empty()) return FieldInvalidError({{"program.files", problem}});
  }
  CLOISTER_RETURN_IF_ERROR(options_.quota->CheckExecutions(active_count()));
  TenantQuota::MemoryShare memory;
  if (interpreter == nullptr) {
    CLOISTER_ASSIGN_OR_RETURN(memory, options_.quota->TakeMemory(request.limits.memory_bytes));
  }
  const ExecutionKind kind =
      interpreter == nullptr ? ExecutionKind::kOneShot : ExecutionKind::kCell;
  Execution::Context context{
      loop_,     source_,         std::move(interpreter),
      observer_, options_.stream, [this](Execution& execution) { OnEnded(execution); }};
  auto execution = std::make_shared<Execution>(std::move(context), std::move(request));
  CLOISTER_RETURN_IF_ERROR(execution->Start());
  registry_.Add(execution);
  active_.emplace(execution.get(), std::move(memory));
  observer_->OnExecutionAccepted(kind);
  return execution;
}

absl::StatusOr<std::shared_ptr<TurnSource>> ExecutionManager::FindInterpreter(
    const std::string& name) {
  if (interpreters_ != nullptr) return interpreters_->FindInterpreter(name);
  return MakeError(v1::ERROR_REASON_SANDBOX_NOT_FOUND,
                   absl::StrCat("there is no sandbox \"", name, "\""));
}

absl::StatusOr<std::shared_ptr<Execution>> ExecutionManager::Repeat(
    std::shared_ptr<Execution> earlier, const ExecutionRequest& request) {
  if (earlier->payload_digest() == request.payload_digest) {
    observer_->OnReplay(ReplayResult::kJoined);
    return earlier;
  }
  observer_->OnReplay(ReplayResult::kReused);
  return MakeError(v1::ERROR_REASON_REQUEST_ID_REUSED,
                   absl::StrCat("request_id \"", request.request_id,
                                "\" was used with another payload; choose a new one per program"));
}

absl::StatusOr<std::shared_ptr<Execution>> ExecutionManager::Find(const std::string& name) const {
  std::shared_ptr<Execution> execution = registry_.FindByName(name);
  if (execution == nullptr) return NotFoundError(name);
  return execution;
}

absl::StatusOr<std::unique_ptr<Subscription>> ExecutionManager::Attach(
    const std::string& name, int64_t after_sequence, ExecutionListener* listener) {
  const std::shared_ptr<Execution> execution = registry_.FindByName(name);
  if (execution == nullptr || execution->mode() != ExecutionMode::kStream) {
    observer_->OnReattach(ReattachResult::kNotFound);
    return NotFoundError(name);
  }
  auto subscription = execution->Subscribe(listener, ReaderRole::kFollower, after_sequence);
  observer_->OnReattach(subscription.ok() ? ReattachResult::kAttached : ReattachResult::kExpired);
  return subscription;
}

void ExecutionManager::Drain(absl::Duration timeout, std::function<void()> drained) {
  draining_ = true;
  drained_ = std::move(drained);
  if (active_.empty()) {
    FinishDrain();
  } else {
    drain_timer_ = loop_->CallAfter(timeout, [this] { StopAll(); });
  }
}

void ExecutionManager::OnEnded(Execution& execution) {
  active_.erase(&execution);
  if (IsWorthRetaining(execution)) {
    registry_.Retire(execution);
  } else {
    registry_.Remove(execution);
  }
  if (draining_ && active_.empty()) FinishDrain();
}

void ExecutionManager::StopAll() {
  drain_timer_ = 0;
  // Those that are still queued end inside Cancel and leave active_.
  std::vector<std::shared_ptr<Execution>> left;
  left.reserve(active_.size());
  for (const auto& [execution, memory] : active_) left.push_back(execution->shared_from_this());
  for (const auto& execution : left) execution->Cancel(sandbox::StopReason::kShutdown);
}

void ExecutionManager::FinishDrain() {
  if (!drained_) return;
  loop_->Cancel(drain_timer_);
  loop_->Post(std::exchange(drained_, nullptr));
}

}  // namespace cloister::core
