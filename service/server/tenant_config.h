// What the configuration says of identity: who may call, and which tenants there are.

#ifndef CLOISTER_SERVICE_SERVER_TENANT_CONFIG_H_
#define CLOISTER_SERVICE_SERVER_TENANT_CONFIG_H_

#include <string>
#include <unordered_set>

#include "cloister/internal/v1/config.pb.h"
#include "service/core/tenant_quota.h"
#include "service/rpc/violations.h"

namespace cloister::server {

// Those of the configuration, and "default".
std::unordered_set<std::string> TenantNames(const internal::v1::ServerConfig& config);

// Of a tenant of the configuration, or "default".
const internal::v1::TenantLimits& LimitsOf(const internal::v1::ServerConfig& config,
                                           const std::string& tenant);
core::TenantLimits QuotaOf(const internal::v1::TenantLimits& limits);
// Calls at once, where requests_per_second is set.
int BurstOf(const internal::v1::TenantLimits& limits);

// A part of ValidateConfig: authentication, tenants, and what addresses may be served with them.
void CheckIdentity(const internal::v1::ServerConfig& config, rpc::Violations* violations);

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_TENANT_CONFIG_H_
