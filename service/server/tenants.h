// The tenants of the server. Callers without credentials are one of them, "default".

#ifndef CLOISTER_SERVICE_SERVER_TENANTS_H_
#define CLOISTER_SERVICE_SERVER_TENANTS_H_

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "absl/time/time.h"
#include "service/server/tenant_backend.h"

namespace cloister::server {

// Thread-safety: loop thread only, but for what is const. Ownership: as TenantBackend.
class Tenants {
 public:
  // One for each of the configuration, and the default one.
  explicit Tenants(const TenantContext& context);

  const TenantBackend& default_tenant() const { return *default_; }
  // Null for none of that name.
  const TenantBackend* Find(const std::string& name) const;

  // Of all, as TenantBackend.
  int active_count() const;
  void Drain(absl::Duration timeout, const std::function<void()>& drained);
  void EndAll();
  void Close();

 private:
  std::unordered_map<std::string, std::unique_ptr<TenantBackend>> tenants_;
  const TenantBackend* default_ = nullptr;
  size_t draining_ = 0;
};

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_TENANTS_H_
