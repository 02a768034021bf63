#include "service/pool/pool_set.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sandbox/base/status_macros.h"
#include "service/core/error.h"
#include "service/pool/refill_policy.h"

namespace cloister::pool {

PoolSet::PoolSet(sandbox::Loop* loop, sandbox::SandboxFactory* factory,
                 core::ServiceObserver* observer, PoolSetOptions options)
    : loop_(loop),
      factory_(factory),
      observer_(observer),
      idle_memory_budget_bytes_(options.idle_memory_budget_bytes),
      tick_(options.tick) {
  for (PoolOptions& pool : options.pools) {
    pools_.push_back(std::make_unique<SandboxPool>(loop, factory, observer, std::move(pool)));
  }
  factory_->SetObserver(this);
}

PoolSet::~PoolSet() {
  factory_->SetObserver(nullptr);
  loop_->Cancel(tick_timer_);
}

void PoolSet::Start() {
  ShareIdleMemory();
  for (const auto& pool : pools_) {
    if (!pool->for_sessions()) pool->Start();
  }
  tick_timer_ = loop_->CallAfter(tick_, [this] { Tick(); });
}

void PoolSet::Drain(std::function<void()> drained) {
  drained_ = std::move(drained);
  draining_ = true;
  for (const auto& pool : pools_) pool->Drain();
  CheckDrained();
}

absl::StatusOr<PoolSet::Ticket> PoolSet::RequestLease(const std::string& template_name,
                                                      absl::Time deadline, LeaseCallback done) {
  return RequestFor(Party(), /*for_sessions=*/false, template_name, deadline, std::move(done));
}

absl::StatusOr<PoolSet::Ticket> PoolSet::RequestSessionLease(const std::string& template_name,
                                                             absl::Time deadline,
                                                             LeaseCallback done) {
  return RequestFor(Party(), /*for_sessions=*/true, template_name, deadline, std::move(done));
}

PoolSet::Pools::iterator PoolSet::Find(const std::string& template_name, bool for_sessions) {
  return std::find_if(pools_.begin(), pools_.end(), [&](const auto& candidate) {
    return candidate->name() == template_name && candidate->for_sessions() == for_sessions;
  });
}

absl::StatusOr<PoolSet::Ticket> PoolSet::RequestFor(const Party& party, bool for_sessions,
                                                    const std::string& template_name,
                                                    absl::Time deadline, LeaseCallback done) {
  auto pool = Find(template_name, for_sessions);
  if (pool != pools_.end() && for_sessions && !draining_) (*pool)->Start();
  // Where none is apart.
  if (pool == pools_.end()) pool = Find(template_name, /*for_sessions=*/false);
  if (pool == pools_.end()) return UnknownTemplateError(template_name, TemplateNames());
  // A ticket tells its pool by its remainder, and rises within each pool.
  const Ticket ticket =
      ++requests_ * pools_.size() + static_cast<Ticket>(pool - pools_.begin());
  CLOISTER_RETURN_IF_ERROR((*pool)->RequestLease(ticket, party, deadline, std::move(done)));
  return ticket;
}

void PoolSet::AbandonRequest(Ticket ticket) {
  pools_[ticket % pools_.size()]->AbandonRequest(ticket);
}

void PoolSet::SetAside(int64_t sandbox_id) {
  for (const auto& pool : pools_) pool->SetAside(sandbox_id);
}

PoolSet::States PoolSet::Snapshot() const {
  States states;
  states.reserve(pools_.size());
  for (const auto& pool : pools_) {
    if (!pool->for_sessions()) states.emplace_back(pool->name(), pool->State());
  }
  return states;
}

PoolSet::States PoolSet::LiveSnapshot() const {
  States states = Snapshot();
  for (auto& [name, state] : states) {
    for (const auto& pool : pools_) {
      if (pool->for_sessions() && pool->name() == name) state = pool->State();
    }
  }
  return states;
}

std::string PoolSet::PythonVersion(const std::string& template_name) const {
  std::string version;
  for (const auto& pool : pools_) {
    if (version.empty() && pool->name() == template_name) version = pool->State().python_version;
  }
  return version;
}

absl::Status PoolSet::Health() const {
  for (const auto& pool : pools_) {
    if (pool->for_sessions()) continue;
    const core::PoolState state = pool->State();
    if (!state.healthy) return absl::UnavailableError(state.not_healthy_reason);
  }
  return absl::OkStatus();
}

void PoolSet::Tick() {
  tick_timer_ = 0;
  if (draining_) {
    CheckDrained();  // a fork that failed meanwhile was the last one, and nobody told
    if (!drained_) return;
  } else {
    ShareIdleMemory();
    for (const auto& pool : pools_) pool->Tick();
  }
  tick_timer_ = loop_->CallAfter(tick_, [this] { Tick(); });
}

void PoolSet::ShareIdleMemory() {
  std::vector<StockWish> wishes;
  wishes.reserve(pools_.size());
  for (const auto& pool : pools_) {
    wishes.push_back({pool->UpdateWish(), pool->idle_sandbox_bytes()});
  }
  const std::vector<int> targets = FitToBudget(wishes, idle_memory_budget_bytes_);
  for (size_t i = 0; i < pools_.size(); ++i) pools_[i]->SetTarget(targets[i]);
}

void PoolSet::CheckDrained() {
  const bool empty = std::all_of(pools_.begin(), pools_.end(),
                                 [](const auto& pool) { return pool->empty(); });
  if (drained_ && empty) loop_->Post(std::exchange(drained_, nullptr));
}

std::vector<std::string> PoolSet::TemplateNames() const {
  std::vector<std::string> names;
  for (const auto& pool : pools_) {
    if (!pool->for_sessions()) names.push_back(pool->name());
  }
  return names;
}

absl::Status UnknownTemplateError(const std::string& template_name,
                                  const std::vector<std::string>& names) {
  const std::string known = absl::StrJoin(names, ",");
  const absl::Status error =
      core::MakeError(v1::ERROR_REASON_TEMPLATE_UNKNOWN,
                      absl::StrCat("there is no template \"", template_name,
                                   "\"; this server has: ", known));
  return core::WithMetadata(core::WithMetadata(error, "template", template_name), "known", known);
}

void PoolSet::OnZygoteExited(int64_t zygote_id, const std::string& reason) {
  for (const auto& pool : pools_) pool->OnZygoteExited(zygote_id, reason);
}

void PoolSet::OnIdleSandboxLost(int64_t sandbox_id) {
  for (const auto& pool : pools_) pool->OnIdleSandboxLost(sandbox_id);
}

void PoolSet::OnSandboxGone(const sandbox::SandboxExit& exit) {
  for (const auto& pool : pools_) pool->OnSandboxGone(exit);
  CheckDrained();
}

void PoolSet::OnSpawnerLost(const std::string& reason) {
  observer_->OnSpawnerLost(reason);
  for (const auto& pool : pools_) pool->OnSpawnerLost(reason);
  CheckDrained();
}

}  // namespace cloister::pool
