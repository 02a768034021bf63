#include "service/server/tenants.h"

#include "service/identity/authenticator.h"
#include "service/server/tenant_config.h"

namespace cloister::server {

Tenants::Tenants(const TenantContext& context) {
  int number = 0;
  for (const std::string& name : TenantNames(*context.config)) {
    tenants_.emplace(name, std::make_unique<TenantBackend>(context, name, ++number));
  }
  default_ = tenants_.at(identity::kDefaultTenant).get();
}

const TenantBackend* Tenants::Find(const std::string& name) const {
  const auto found = tenants_.find(name);
  return found == tenants_.end() ? nullptr : found->second.get();
}

int Tenants::active_count() const {
  int count = 0;
  for (const auto& [name, tenant] : tenants_) count += tenant->active_count();
  return count;
}

void Tenants::Drain(absl::Duration timeout, const std::function<void()>& drained) {
  draining_ = tenants_.size();
  for (const auto& [name, tenant] : tenants_) {
    tenant->Drain(timeout, [this, drained] {
      if (--draining_ == 0) drained();
    });
  }
}

void Tenants::EndAll() {
  for (const auto& [name, tenant] : tenants_) tenant->EndAll();
}

void Tenants::Close() {
  for (const auto& [name, tenant] : tenants_) tenant->Close();
}

}  // namespace cloister::server
