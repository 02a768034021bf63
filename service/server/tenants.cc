#include "service/server/tenants.h"

namespace cloister::server {

Tenants::Tenants(const TenantContext& context) {
  tenants_.push_back(std::make_unique<TenantBackend>(context));
}

int Tenants::active_count() const {
  int count = 0;
  for (const auto& tenant : tenants_) count += tenant->active_count();
  return count;
}

void Tenants::Drain(absl::Duration timeout, const std::function<void()>& drained) {
  draining_ = tenants_.size();
  for (const auto& tenant : tenants_) {
    tenant->Drain(timeout, [this, drained] {
      if (--draining_ == 0) drained();
    });
  }
}

void Tenants::EndAll() {
  for (const auto& tenant : tenants_) tenant->EndAll();
}

void Tenants::Close() {
  for (const auto& tenant : tenants_) tenant->Close();
}

}  // namespace cloister::server
