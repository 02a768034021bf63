// ValidateConfig: every rule of config.proto.

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sandbox/linux/feature_probe.h"
#include "service/base/proto_time.h"
#include "service/observability/logging.h"
#include "service/rpc/limits_resolver.h"
#include "service/rpc/request_bounds.h"
#include "service/rpc/violations.h"
#include "service/server/config.h"
#include "service/server/listen_address.h"
#include "service/server/service_user.h"
#include "service/server/tenant_config.h"

namespace cloister::server {
namespace {

using internal::v1::PoolConfig;
using internal::v1::ServerConfig;
using internal::v1::TemplateConfig;
using rpc::Violations;

constexpr absl::Duration kDay = absl::Hours(24);

// What no configuration may exceed.
sandbox::Limits HardLimits() {
  sandbox::Limits limits;
  limits.wall_time = kDay;
  limits.cpu_time = kDay;
  limits.memory_bytes = int64_t{1} << 40;
  limits.output_bytes = rpc::kMaximumOutputBytes;
  limits.process_count = 1 << 15;
  limits.open_file_count = 1 << 16;
  limits.file_bytes = int64_t{1} << 40;
  limits.workspace_bytes = int64_t{1} << 40;
  return limits;
}

void Add(const absl::Status& status, const std::string& field, Violations* violations) {
  if (!status.ok()) violations->Add(field, std::string(status.message()));
}

void CheckRange(int64_t value, int64_t least, int64_t most, const std::string& field,
                Violations* violations) {
  if (value >= least && value <= most) return;
  violations->Add(field, absl::StrCat("is ", value, "; must be from ", least, " to ", most));
}

void CheckAddresses(const ServerConfig& config, Violations* violations) {
  std::set<std::string> seen;
  for (int i = 0; i < config.listen_size(); ++i) {
    const std::string field = absl::StrCat("listen[", i, "]");
    Add(ParseListenAddress(config.listen(i)).status(), field, violations);
    if (!seen.insert(config.listen(i)).second) violations->Add(field, "is there twice");
  }
  if (!config.metrics_listen().empty()) {
    Add(CheckHostAndPort(config.metrics_listen()), "metrics_listen", violations);
  }
}

bool IsTemplateName(const std::string& name) {
  if (name.empty() || name.size() > 63) return false;
  for (char c : name) {
    if (!absl::ascii_islower(c) && !absl::ascii_isdigit(c) && c != '.' && c != '-') return false;
  }
  return name != "." && name != "..";
}

// `least_ready`: 1 for the default template, because the server is ready once it made a sandbox of
// it.
void CheckPool(const PoolConfig& pool, int least_ready, const std::string& field,
               Violations* violations) {
  constexpr int64_t kMostSandboxes = 100'000;
  CheckRange(pool.maximum(), 1, kMostSandboxes, field + ".maximum", violations);
  CheckRange(pool.maximum_ready(), 1, pool.maximum(), field + ".maximum_ready", violations);
  CheckRange(pool.minimum_ready(), least_ready, pool.maximum_ready(), field + ".minimum_ready",
             violations);
  CheckRange(pool.zygote_maximum_forks(), 1, int64_t{1} << 40, field + ".zygote_maximum_forks",
             violations);
  rpc::CheckedDuration(pool.maximum_age(), kDay, field + ".maximum_age", violations);
  rpc::CheckedDuration(pool.zygote_maximum_age(), 30 * kDay, field + ".zygote_maximum_age",
                       violations);
}

void CheckTemplates(const ServerConfig& config, Violations* violations) {
  std::set<std::string> seen;
  for (int i = 0; i < config.templates_size(); ++i) {
    const TemplateConfig& entry = config.templates(i);
    const std::string field = absl::StrCat("templates[", i, "]");
    if (!IsTemplateName(entry.name())) {
      violations->Add(field + ".name", absl::StrCat("is ", rpc::Quoted(entry.name()),
                                                    "; must be 1 to 63 characters of [a-z0-9.-]"));
    }
    if (!seen.insert(entry.name()).second) violations->Add(field + ".name", "is there twice");
    if (entry.image() != entry.name() && !IsTemplateName(entry.image())) {
      violations->Add(field + ".image", "must be 1 to 63 characters of [a-z0-9.-]");
    }
    for (const auto& [name, value] : entry.environment()) {
      if (name.empty() || name.find('=') != std::string::npos) {
        violations->Add(field + ".environment", "has a name that is empty or contains '='");
      }
    }
    CheckPool(entry.pool(), i == 0 ? 1 : 0, field + ".pool", violations);
  }
}

void CheckFloor(const ServerConfig& config, Violations* violations) {
  const std::vector<std::string> known(sandbox::LayerNames().begin(), sandbox::LayerNames().end());
  for (int i = 0; i < config.isolation_floor().required_layers_size(); ++i) {
    const std::string& name = config.isolation_floor().required_layers(i);
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    violations->Add(absl::StrCat("isolation_floor.required_layers[", i, "]"),
                    absl::StrCat("is ", rpc::Quoted(name), ", which is no layer; there are ",
                                 absl::StrJoin(known, ", ")));
  }
}

void CheckTimes(const ServerConfig& config, Violations* violations) {
  rpc::CheckedDuration(config.execution_retention(), kDay, "execution_retention", violations);
  rpc::CheckedDuration(config.drain_timeout(), kDay, "drain_timeout", violations);
  rpc::CheckedDuration(config.keep_alive_interval(), absl::Hours(1), "keep_alive_interval",
                       violations);
  rpc::CheckedDuration(config.queue().maximum_wait(), absl::Hours(1), "queue.maximum_wait",
                       violations);
}

void CheckLiveSandboxes(const internal::v1::LiveSandboxConfig& config, Violations* violations) {
  const std::string field = "live_sandboxes";
  CheckRange(config.maximum_count(), 1, 100'000, field + ".maximum_count", violations);
  CheckRange(config.maximum_queued_executions(), 1, 100'000, field + ".maximum_queued_executions",
             violations);
  CheckRange(config.maximum_interpreters(), 1, 1'000, field + ".maximum_interpreters", violations);
  CheckRange(config.maximum_snapshots(), 1, 100'000, field + ".maximum_snapshots", violations);
  const absl::Duration ttl =
      rpc::CheckedDuration(config.maximum_ttl(), 30 * kDay, field + ".maximum_ttl", violations);
  const absl::Duration idle = rpc::CheckedDuration(config.maximum_idle_timeout(), 30 * kDay,
                                                   field + ".maximum_idle_timeout", violations);
  rpc::CheckedDuration(config.default_ttl(), ttl, field + ".default_ttl", violations);
  rpc::CheckedDuration(config.default_idle_timeout(), idle, field + ".default_idle_timeout",
                       violations);
}

}  // namespace

absl::Status ValidateConfig(const ServerConfig& config) {
  Violations violations;
  CheckAddresses(config, &violations);
  CheckIdentity(config, &violations);
  CheckTemplates(config, &violations);
  const sandbox::Limits maximum = rpc::ResolveLimits(
      config.maximum_limits(), {HardLimits(), HardLimits()}, "maximum_limits", &violations);
  rpc::ResolveLimits(config.default_limits(), {maximum, maximum}, "default_limits", &violations);
  CheckFloor(config, &violations);
  CheckTimes(config, &violations);
  CheckLiveSandboxes(config.live_sandboxes(), &violations);
  CheckRange(config.queue().maximum_waiting(), 1, 1'000'000, "queue.maximum_waiting", &violations);
  CheckRange(config.queue().maximum_bytes(), 1 << 20, int64_t{1} << 40, "queue.maximum_bytes",
             &violations);
  CheckRange(config.idle_memory_budget_bytes(), 1, int64_t{1} << 50, "idle_memory_budget_bytes",
             &violations);
  CheckRange(config.event_log_bytes(), 1 << 10, int64_t{1} << 30, "event_log_bytes", &violations);
  Add(observability::ParseSeverity(config.log_level()).status(), "log_level", &violations);
  Add(observability::ParseLogFormat(config.log_format()).status(), "log_format", &violations);
  Add(FindServiceUser(config.service_user()).status(), "service_user", &violations);
  if (violations.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(
      violations.list(), "\n", [](std::string* out, const core::FieldViolation& violation) {
        absl::StrAppend(out, violation.field, ": ", violation.description);
      }));
}

}  // namespace cloister::server
