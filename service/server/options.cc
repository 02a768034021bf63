#include "service/server/options.h"

#include <cstdint>
#include <limits>
#include <algorithm>
#include <utility>

#include "service/base/proto_time.h"

namespace cloister::server {
namespace {

using internal::v1::ServerConfig;
using internal::v1::TemplateConfig;

internal::v1::ZygoteSpec ZygoteSpecOf(const TemplateConfig& entry, const Image& image,
                                      const sandbox::Limits& defaults) {
  internal::v1::ZygoteSpec spec;
  spec.set_template_name(entry.name());
  spec.set_image_root(image.root);
  spec.set_guest_binary(image.guest_binary);
  *spec.mutable_warm_up_imports() = entry.warm_up_imports();
  *spec.mutable_environment() = entry.environment();
  spec.mutable_default_limits()->set_memory_bytes(defaults.memory_bytes);
  spec.mutable_default_limits()->set_process_count(defaults.process_count);
  spec.set_default_workspace_bytes(defaults.workspace_bytes);
  spec.set_allow_subprocesses(entry.allow_subprocesses());
  return spec;
}

}  // namespace

rpc::LimitsPolicy LimitsPolicyOf(const ServerConfig& config) {
  // The configuration is valid: there is nothing to complain about.
  rpc::Violations none;
  constexpr int64_t kAny = std::numeric_limits<int64_t>::max();
  const sandbox::Limits any{
      absl::InfiniteDuration(), absl::InfiniteDuration(), kAny, kAny, kAny, kAny, kAny, kAny};
  rpc::LimitsPolicy policy;
  policy.maximum = rpc::ResolveLimits(config.maximum_limits(), {any, any}, "", &none);
  policy.defaults = rpc::ResolveLimits(config.default_limits(), {any, any}, "", &none);
  return policy;
}

rpc::LifetimePolicy LifetimePolicyOf(const ServerConfig& config) {
  const internal::v1::LiveSandboxConfig& live = config.live_sandboxes();
  return {.default_ttl = base::FromProto(live.default_ttl()),
          .maximum_ttl = base::FromProto(live.maximum_ttl()),
          .default_idle_timeout = base::FromProto(live.default_idle_timeout()),
          .maximum_idle_timeout = base::FromProto(live.maximum_idle_timeout())};
}

core::SandboxManagerOptions SandboxOptionsOf(const ServerConfig& config) {
  core::SandboxManagerOptions options;
  options.maximum_count = config.live_sandboxes().maximum_count();
  options.maximum_queued =
      static_cast<size_t>(config.live_sandboxes().maximum_queued_executions());
  options.maximum_interpreters = config.live_sandboxes().maximum_interpreters();
  return options;
}

core::ExecutionManagerOptions ExecutionOptionsOf(const ServerConfig& config) {
  core::ExecutionManagerOptions options;
  options.retention.time = base::FromProto(config.execution_retention());
  options.stream.retained_bytes = config.event_log_bytes();
  return options;
}

namespace {

// Live sandboxes are leased more rarely than those for one program.
constexpr int kReadyForSessions = 2;
constexpr int kMaximumReadyForSessions = 16;

// Beside the pool of each template one of sandboxes that can be copied, from zygotes of its own: copying
// takes their time, which nobody who runs one program should wait for.
void AddSessionPools(const ServerConfig& config, pool::PoolSetOptions* options) {
  const size_t count = options->pools.size();
  for (size_t i = 0; i < count; ++i) {
    pool::PoolOptions pool = options->pools[i];
    pool.for_sessions = true;
    pool.zygote.spec.set_forkable(true);
    pool.minimum_ready = kReadyForSessions;
    pool.maximum_ready = kMaximumReadyForSessions;
    // Those that are leased stay; they are counted where they are made.
    pool.maximum = std::max(pool.maximum, config.live_sandboxes().maximum_count());
    options->pools.push_back(std::move(pool));
  }
}

}  // namespace

pool::PoolSetOptions PoolOptionsOf(const ServerConfig& config, const std::vector<Image>& images,
                                   bool can_fork) {
  const sandbox::Limits defaults = LimitsPolicyOf(config).defaults;
  pool::PoolSetOptions options;
  options.idle_memory_budget_bytes = config.idle_memory_budget_bytes();
  for (int i = 0; i < config.templates_size(); ++i) {
    const TemplateConfig& entry = config.templates(i);
    pool::PoolOptions pool;
    pool.template_name = entry.name();
    pool.zygote.spec = ZygoteSpecOf(entry, images[i], defaults);
    pool.zygote.maximum_forks = entry.pool().zygote_maximum_forks();
    pool.zygote.maximum_age = base::FromProto(entry.pool().zygote_maximum_age());
    pool.minimum_ready = entry.pool().minimum_ready();
    pool.maximum_ready = entry.pool().maximum_ready();
    pool.maximum = entry.pool().maximum();
    pool.maximum_age = base::FromProto(entry.pool().maximum_age());
    pool.maximum_waiting = config.queue().maximum_waiting();
    pool.maximum_wait = base::FromProto(config.queue().maximum_wait());
    options.pools.push_back(std::move(pool));
  }
  if (can_fork) AddSessionPools(config, &options);
  return options;
}

std::vector<std::string> TemplateNames(const ServerConfig& config) {
  std::vector<std::string> names;
  for (const TemplateConfig& entry : config.templates()) names.push_back(entry.name());
  return names;
}

}  // namespace cloister::server
