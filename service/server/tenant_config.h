// What the configuration says of identity: who may call, and which tenants there are.

#ifndef CLOISTER_SERVICE_SERVER_TENANT_CONFIG_H_
#define CLOISTER_SERVICE_SERVER_TENANT_CONFIG_H_

#include <string>
#include <unordered_set>

#include "cloister/internal/v1/config.pb.h"
#include "service/rpc/violations.h"

namespace cloister::server {

// Those of the configuration, and "default".
std::unordered_set<std::string> TenantNames(const internal::v1::ServerConfig& config);

// A part of ValidateConfig: authentication, tenants, and what addresses may be served with them.
void CheckIdentity(const internal::v1::ServerConfig& config, rpc::Violations* violations);

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_TENANT_CONFIG_H_
