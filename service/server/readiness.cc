#include "service/server/readiness.h"

#include <utility>

namespace cloister::server {

void Readiness::OnPoolState(const std::string& pool, const core::PoolState& state) {
  if (pool == default_template_) Set(state.healthy, state.not_healthy_reason);
}

void Readiness::Never(std::string reason) {
  Set(false, std::move(reason));
  never_ = true;
}

void Readiness::Set(bool ready, std::string reason) {
  if (never_) return;
  reason_ = std::move(reason);
  if (std::exchange(ready_, ready) != ready) on_change_(ready);
}

}  // namespace cloister::server
