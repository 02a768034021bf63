#include "service/server/info.h"

#include "service/core/interpreter_profiles.h"
#include "service/core/limits_proto.h"

namespace cloister::server {

namespace {

v1::PoolState ToProto(const core::PoolState& state) {
  v1::PoolState pool;
  pool.set_ready_count(state.ready);
  pool.set_starting_count(state.starting);
  pool.set_leased_count(state.leased);
  pool.set_target_count(state.target);
  pool.set_minimum_count(state.minimum);
  pool.set_maximum_count(state.maximum);
  pool.set_waiting_count(state.waiting);
  pool.set_live_count(state.live);
  return pool;
}

}  // namespace

const char* Version() { return CLOISTER_VERSION; }
const char* Revision() { return CLOISTER_REVISION; }

v1::GetInfoResponse FixedInfo(const internal::v1::ServerConfig& config,
                              const std::vector<Image>& images,
                              const rpc::RequestValidator& validator,
                              const internal::v1::Facilities& facilities) {
  v1::GetInfoResponse info;
  info.set_version(Version());
  info.set_revision(Revision());
  for (int i = 0; i < config.templates_size(); ++i) {
    v1::Template* entry = info.add_templates();
    entry->set_name(config.templates(i).name());
    entry->set_image(images[i].name);
    entry->set_python_version(images[i].python_version);
    *entry->mutable_warm_up_imports() = config.templates(i).warm_up_imports();
    *entry->mutable_packages() = {images[i].packages.begin(), images[i].packages.end()};
  }
  *info.mutable_default_limits() = core::ToProto(validator.policy().defaults);
  *info.mutable_maximum_limits() = core::ToProto(validator.policy().maximum);
  const rpc::RequestBounds& bounds = validator.bounds();
  v1::RequestBounds* shown = info.mutable_request_bounds();
  shown->set_code_bytes(bounds.code_bytes);
  shown->set_stdin_bytes(bounds.stdin_bytes);
  shown->set_files_bytes(bounds.files_bytes);
  shown->set_file_count(bounds.file_count);
  shown->set_arguments_bytes(bounds.arguments_bytes);
  shown->set_environment_bytes(bounds.environment_bytes);
  const internal::v1::LiveSandboxConfig& live = config.live_sandboxes();
  v1::LiveSandboxes* sandboxes = info.mutable_live_sandboxes();
  sandboxes->set_maximum_count(live.maximum_count());
  sandboxes->set_maximum_queued_executions(live.maximum_queued_executions());
  sandboxes->set_maximum_interpreters(live.maximum_interpreters());
  sandboxes->set_maximum_snapshot_count(live.maximum_snapshots());
  sandboxes->set_can_fork(facilities.live_fork().available());
  if (!sandboxes->can_fork()) {
    sandboxes->set_cannot_fork_reason(facilities.live_fork().detail());
  }
  *sandboxes->mutable_default_ttl() = live.default_ttl();
  *sandboxes->mutable_maximum_ttl() = live.maximum_ttl();
  *sandboxes->mutable_default_idle_timeout() = live.default_idle_timeout();
  *sandboxes->mutable_maximum_idle_timeout() = live.maximum_idle_timeout();
  // The two enums have the same values; one is public, the other is not.
  info.mutable_isolation()->set_setting(static_cast<v1::Isolation::Setting>(facilities.setting()));
  for (const internal::v1::Facility& facility : facilities.facilities()) {
    v1::Layer* layer = info.mutable_isolation()->add_layers();
    layer->set_name(facility.name());
    layer->set_in_force(facility.available());
    layer->set_detail(facility.detail());
  }
  return info;
}

void AddCurrentInfo(const PoolStates& pools, const PoolStates& live_pools,
                    const Readiness& readiness, v1::GetInfoResponse* info) {
  for (size_t i = 0; i < pools.size(); ++i) {
    v1::Template* entry = info->mutable_templates(static_cast<int>(i));
    const std::string& version = pools[i].second.python_version;
    if (!version.empty()) entry->set_python_version(version);
    *entry->mutable_pool() = ToProto(pools[i].second);
    *entry->mutable_live_pool() = ToProto(live_pools[i].second);
    entry->clear_profiles();
    for (const auto profile : core::OfferedProfiles(entry->python_version())) {
      entry->add_profiles(profile);
    }
  }
  info->set_ready(readiness.ready());
  info->set_not_ready_reason(readiness.reason());
}

}  // namespace cloister::server
