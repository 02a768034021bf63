// All executions of the server: starts them, finds them again, and sees them out at the end.

#ifndef CLOISTER_SERVICE_CORE_EXECUTION_MANAGER_H_
#define CLOISTER_SERVICE_CORE_EXECUTION_MANAGER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sandbox/base/loop.h"
#include "service/core/execution.h"
#include "service/core/execution_registry.h"
#include "service/core/execution_request.h"
#include "service/core/observer.h"
#include "service/core/sandbox_source.h"
#include "service/core/tenant_quota.h"
#include "service/core/turn_source.h"

namespace cloister::core {

struct ExecutionManagerOptions {
  RetentionOptions retention;
  EventStreamOptions stream;
  // The tenant's own bounds.
  std::shared_ptr<TenantQuota> quota = std::make_shared<TenantQuota>();
};

// Thread-safety: loop thread only.
// Ownership: `loop`, `source`, `observer` and `interpreters` must outlive it; it must outlive its executions: drain
// first.
class ExecutionManager {
 public:
  // `interpreters`: null where there are no live ones.
  ExecutionManager(sandbox::Loop* loop, SandboxSource* source, ServiceObserver* observer,
                   ExecutionManagerOptions options, InterpreterDirectory* interpreters = nullptr);
  ~ExecutionManager();

  // Starts a program, or joins the execution that the same request_id started. Subscribe as an owner
  // before returning to the loop. Errors: REQUEST_ID_REUSED, SERVER_DRAINING, and those that
  // TenantQuota, SandboxSource::RequestLease, or InterpreterDirectory and TurnSource::RequestTurn, give at once; the
  // later ones arrive as Execution::result().status.
  absl::StatusOr<std::shared_ptr<Execution>> Start(ExecutionRequest request);

  // A running or retained execution by name. Those of RunCode are retained only where a request_id
  // can ask for them again. Errors: EXECUTION_NOT_FOUND.
  absl::StatusOr<std::shared_ptr<Execution>> Find(const std::string& name) const;

  // Find, and a follower's subscription after a sequence number. Errors: EXECUTION_NOT_FOUND (also for
  // an execution without events, that is one of RunCode), EVENTS_EXPIRED.
  absl::StatusOr<std::unique_ptr<Subscription>> Attach(const std::string& name,
                                                       int64_t after_sequence,
                                                       ExecutionListener* listener);

  // Refuses new work from now on; what is repeated or attached to still works. `drained` is called,
  // never inline, when the last execution has ended; those still there after `timeout` are stopped.
  // Call once.
  void Drain(absl::Duration timeout, std::function<void()> drained);

  sandbox::Loop* loop() const { return loop_; }
  bool draining() const { return draining_; }
  // Queued or running.
  int active_count() const { return static_cast<int>(active_.size()); }

 private:
  absl::StatusOr<std::shared_ptr<TurnSource>> FindInterpreter(const std::string& name);
  absl::StatusOr<std::shared_ptr<Execution>> Repeat(std::shared_ptr<Execution> earlier,
                                                    const ExecutionRequest& request);
  void OnEnded(Execution& execution);
  void StopAll();
  void FinishDrain();

  sandbox::Loop* const loop_;
  SandboxSource* const source_;
  ServiceObserver* const observer_;
  const ExecutionManagerOptions options_;
  InterpreterDirectory* const interpreters_;
  ExecutionRegistry registry_;
  // Kept alive by the registry.
  std::unordered_map<Execution*, TenantQuota::MemoryShare> active_;
  bool draining_ = false;
  std::function<void()> drained_;
  sandbox::Loop::TimerId drain_timer_ = 0;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_EXECUTION_MANAGER_H_
