// From the configuration to what each part of the server wants to know. Expects defaults filled in
// and everything valid.

#ifndef CLOISTER_SERVICE_SERVER_OPTIONS_H_
#define CLOISTER_SERVICE_SERVER_OPTIONS_H_

#include <string>
#include <vector>

#include "cloister/internal/v1/config.pb.h"
#include "service/core/execution_manager.h"
#include "service/core/sandbox_manager.h"
#include "service/pool/pool_set.h"
#include "service/rpc/limits_resolver.h"
#include "service/rpc/sandbox_request_validator.h"
#include "service/server/image_catalog.h"

namespace cloister::server {

rpc::LimitsPolicy LimitsPolicyOf(const internal::v1::ServerConfig& config);
rpc::LifetimePolicy LifetimePolicyOf(const internal::v1::ServerConfig& config);
core::SandboxManagerOptions SandboxOptionsOf(const internal::v1::ServerConfig& config);
core::ExecutionManagerOptions ExecutionOptionsOf(const internal::v1::ServerConfig& config);
// `images`: one for each template, in their order.
pool::PoolSetOptions PoolOptionsOf(const internal::v1::ServerConfig& config,
                                   const std::vector<Image>& images,
                                   bool can_fork);
std::vector<std::string> TemplateNames(const internal::v1::ServerConfig& config);

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_OPTIONS_H_
