// The tenants of the server. Callers without credentials are one of them, "default".

#ifndef CLOISTER_SERVICE_SERVER_TENANTS_H_
#define CLOISTER_SERVICE_SERVER_TENANTS_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "service/server/tenant_backend.h"

namespace cloister::server {

// Thread-safety: loop thread only, but for default_tenant(). Ownership: as TenantBackend.
class Tenants {
 public:
  explicit Tenants(const TenantContext& context);

  const TenantBackend& default_tenant() const { return *tenants_.front(); }

  // Of all, as TenantBackend.
  int active_count() const;
  void Drain(absl::Duration timeout, const std::function<void()>& drained);
  void EndAll();
  void Close();

 private:
  std::vector<std::unique_ptr<TenantBackend>> tenants_;
  size_t draining_ = 0;
};

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_TENANTS_H_
