// All pools of the server, one per template: routes what the factory reports, and shares the memory
// that idle sandboxes may hold among them.

#ifndef CLOISTER_SERVICE_POOL_POOL_SET_H_
#define CLOISTER_SERVICE_POOL_POOL_SET_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "sandbox/base/loop.h"
#include "sandbox/sandbox.h"
#include "service/core/observer.h"
#include "service/core/pool_state.h"
#include "service/core/sandbox_source.h"
#include "service/pool/pool_options.h"
#include "service/pool/sandbox_pool.h"

namespace cloister::pool {

struct PoolSetOptions {
  std::vector<PoolOptions> pools;  // in the order of the configuration; names are unique
  // All idle sandboxes together. Where the pools would like more, all shrink by the same share.
  int64_t idle_memory_budget_bytes = int64_t{1} << 30;
  // How often targets are computed anew and old sandboxes looked for.
  absl::Duration tick = absl::Milliseconds(200);
};

// Thread-safety: loop thread only.
// Ownership: `loop`, `factory` and `observer` must outlive it; it must outlive whoever leases from it.
// It makes itself the factory's observer until it is destroyed.
class PoolSet final : public core::SandboxSource, private sandbox::SandboxFactoryObserver {
 public:
  PoolSet(sandbox::Loop* loop, sandbox::SandboxFactory* factory, core::ServiceObserver* observer,
          PoolSetOptions options);
  ~PoolSet() override;

  // Starts the zygotes and fills the pools.
  void Start();

  // Gives up every idle sandbox and every zygote; fails who waits with SERVER_DRAINING and refuses
  // further leases so. `drained` is called, never inline, when nothing of any sandbox is left. Drain
  // the executions first.
  void Drain(std::function<void()> drained);

  // As the two of core::SandboxSource, on the account of `party`.
  absl::StatusOr<Ticket> RequestFor(const Party& party, bool for_sessions,
                                    const std::string& template_name, absl::Time deadline,
                                    LeaseCallback done);

  // core::SandboxSource
  absl::StatusOr<Ticket> RequestLease(const std::string& template_name, absl::Time deadline,
                                      LeaseCallback done) override;
  absl::StatusOr<Ticket> RequestSessionLease(const std::string& template_name, absl::Time deadline,
                                             LeaseCallback done) override;
  std::string PythonVersion(const std::string& template_name) const override;
  void AbandonRequest(Ticket ticket) override;
  void SetAside(int64_t sandbox_id) override;

  // By template name, in the order of the configuration.
  using States = std::vector<std::pair<std::string, core::PoolState>>;
  States Snapshot() const;
  // The same of the pools that live sandboxes come from; where none is apart, the same states.
  States LiveSnapshot() const;

  // OK when every pool is healthy; otherwise the first one's reason, for readiness.
  absl::Status Health() const;

 private:
  using Pools = std::vector<std::unique_ptr<SandboxPool>>;

  Pools::iterator Find(const std::string& template_name, bool for_sessions);
  void Tick();
  void ShareIdleMemory();
  void CheckDrained();
  std::vector<std::string> TemplateNames() const;

  // sandbox::SandboxFactoryObserver
  void OnZygoteExited(int64_t zygote_id, const std::string& reason) override;
  void OnIdleSandboxLost(int64_t sandbox_id) override;
  void OnSandboxGone(const sandbox::SandboxExit& exit) override;
  void OnSpawnerLost(const std::string& reason) override;

  sandbox::Loop* const loop_;
  sandbox::SandboxFactory* const factory_;
  core::ServiceObserver* const observer_;
  const int64_t idle_memory_budget_bytes_;
  const absl::Duration tick_;
  Pools pools_;
  uint64_t requests_ = 0;
  sandbox::Loop::TimerId tick_timer_ = 0;
  bool draining_ = false;
  std::function<void()> drained_;  // empty once called
};

// TEMPLATE_UNKNOWN, for somebody to whom there are those of `names`.
absl::Status UnknownTemplateError(const std::string& template_name,
                                  const std::vector<std::string>& names);

}  // namespace cloister::pool

#endif  // CLOISTER_SERVICE_POOL_POOL_SET_H_
