// Answers GetInfo.

#ifndef CLOISTER_SERVICE_SERVER_INFO_H_
#define CLOISTER_SERVICE_SERVER_INFO_H_

#include <string>
#include <utility>
#include <vector>

#include "cloister/internal/v1/config.pb.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "cloister/v1/info_service.pb.h"
#include "service/core/pool_state.h"
#include "service/rpc/request_validator.h"
#include "service/server/image_catalog.h"
#include "service/server/readiness.h"

namespace cloister::server {

// Of Cloister, e.g. "0.1.0", and of the source it was built from; "" where unknown.
const char* Version();
const char* Revision();

// What never changes while the server runs: versions, templates, limits, bounds, isolation.
v1::GetInfoResponse FixedInfo(const internal::v1::ServerConfig& config,
                              const std::vector<Image>& images,
                              const rpc::RequestValidator& validator,
                              const internal::v1::Facilities& facilities);

using PoolStates = std::vector<std::pair<std::string, core::PoolState>>;

// Adds what is so now. `pools`, and `live_pools` that live sandboxes come from, are in the order of the
// templates.
void AddCurrentInfo(const PoolStates& pools, const PoolStates& live_pools,
                    const Readiness& readiness, v1::GetInfoResponse* info);

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_INFO_H_
