#include "service/server/tenant_config.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "service/identity/authenticator.h"
#include "service/rpc/request_bounds.h"
#include "service/server/listen_address.h"

namespace cloister::server {
namespace {

using internal::v1::ServerConfig;
using internal::v1::TenantLimits;
using rpc::Violations;

// Each is a label of metrics.
constexpr int kMaximumTenants = 1'000;
constexpr size_t kMaximumNameBytes = 63;

bool IsTenantName(const std::string& name) {
  if (name.empty() || name.size() > kMaximumNameBytes) return false;
  for (const char c : name) {
    if (!absl::ascii_islower(c) && !absl::ascii_isdigit(c) && c != '-') return false;
  }
  return name.front() != '-' && name.back() != '-';
}

bool HasCredentials(const ServerConfig& config) {
  return !config.authentication().token_file().empty();
}

void CheckRange(int64_t value, int64_t most, const std::string& field, Violations* violations) {
  if (value >= 0 && value <= most) return;
  violations->Add(field, absl::StrCat("is ", value, "; must be from 1 to ", most,
                                      ", or unset for no bound of the tenant's own"));
}

void CheckTemplates(const ServerConfig& config, const TenantLimits& limits,
                    const std::string& prefix, Violations* violations) {
  std::set<std::string> known, seen;
  for (const auto& entry : config.templates()) known.insert(entry.name());
  for (int i = 0; i < limits.templates_size(); ++i) {
    const std::string field = absl::StrCat(prefix, ".templates[", i, "]");
    const std::string& name = limits.templates(i);
    if (known.count(name) == 0) {
      violations->Add(field,
                      absl::StrCat("is ", rpc::Quoted(name), ", which is no template; there are ",
                                   absl::StrJoin(known, ", ")));
    } else if (!seen.insert(name).second) {
      violations->Add(field, "is there twice");
    }
  }
}

void CheckLimits(const ServerConfig& config, const TenantLimits& limits, const std::string& prefix,
                 Violations* violations) {
  constexpr int64_t kMost = 100'000;
  CheckTemplates(config, limits, prefix, violations);
  CheckRange(limits.maximum_live_sandboxes(), kMost, prefix + ".maximum_live_sandboxes",
             violations);
  CheckRange(limits.maximum_snapshots(), kMost, prefix + ".maximum_snapshots", violations);
  CheckRange(limits.maximum_concurrent_executions(), kMost,
             prefix + ".maximum_concurrent_executions", violations);
  CheckRange(limits.maximum_memory_bytes(), int64_t{1} << 50, prefix + ".maximum_memory_bytes",
             violations);
  CheckRange(limits.weight(), 100, prefix + ".weight", violations);
  CheckRange(limits.burst(), kMost, prefix + ".burst", violations);
  const double rate = limits.requests_per_second();
  // Not a number is neither.
  if (!(rate == 0 || (rate >= 0.001 && rate <= 1e6))) {
    violations->Add(prefix + ".requests_per_second",
                    absl::StrCat("is ", rate, "; must be from 0.001 to 1000000, or unset"));
  } else if (rate == 0 && limits.burst() != 0) {
    violations->Add(prefix + ".burst", "is for requests_per_second, which is not set");
  }
}

void CheckTenants(const ServerConfig& config, Violations* violations) {
  if (config.tenants_size() > kMaximumTenants) {
    violations->Add("tenants", absl::StrCat("has ", config.tenants_size(), " entries; at most ",
                                            kMaximumTenants));
    return;
  }
  if (config.tenants_size() > 0 && !HasCredentials(config)) {
    violations->Add("tenants", "nobody can be one of them: authentication.token_file is not set");
  }
  std::set<std::string> seen;
  for (int i = 0; i < config.tenants_size(); ++i) {
    CheckLimits(config, config.tenants(i).limits(), absl::StrCat("tenants[", i, "].limits"),
                violations);
    const std::string field = absl::StrCat("tenants[", i, "].name");
    const std::string& name = config.tenants(i).name();
    if (!IsTenantName(name)) {
      violations->Add(field, absl::StrCat("is ", rpc::Quoted(name),
                                          "; must be 1 to 63 characters of [a-z0-9-], with no '-' "
                                          "at its ends"));
    } else if (name == identity::kDefaultTenant) {
      violations->Add(field, "is the name of callers without credentials, which is there anyway");
    } else if (!seen.insert(name).second) {
      violations->Add(field, "is there twice");
    }
  }
}

void CheckAuthentication(const ServerConfig& config, Violations* violations) {
  if (!config.has_authentication()) return;
  const internal::v1::AuthenticationConfig& authentication = config.authentication();
  if (!HasCredentials(config)) {
    violations->Add("authentication.token_file",
                    "is not set; name a file of tokens, or leave `authentication` out");
  } else if (authentication.token_file().front() != '/') {
    violations->Add("authentication.token_file", "must be an absolute path");
  }
}

// What reaches other machines needs credentials, and TLS or somebody's word that it ends before us.
void CheckReach(const ServerConfig& config, Violations* violations) {
  if (config.insecure_plaintext() && config.authentication().allow_anonymous()) {
    violations->Add("insecure_plaintext",
                    "does not go with authentication.allow_anonymous: what comes through a proxy "
                    "on this machine would need no credentials");
  }
  for (int i = 0; i < config.listen_size(); ++i) {
    const auto address = ParseListenAddress(config.listen(i));
    if (!address.ok() || address->is_local) continue;
    const std::string field = absl::StrCat("listen[", i, "]");
    if (!HasCredentials(config)) {
      violations->Add(
          field, absl::StrCat(config.listen(i),
                              " can be reached from other machines, and everybody who "
                              "reaches it could call; set authentication { token_file }, or use "
                              "a unix socket or a loopback address (localhost, "
                              "127.0.0.1, [::1])"));
    } else if (!config.insecure_plaintext()) {
      violations->Add(field, absl::StrCat(config.listen(i),
                                          " can be reached from other machines in plain text, "
                                          "tokens and all; where a proxy or a mesh ends TLS before "
                                          "it, say insecure_plaintext: true"));
    }
  }
}

}  // namespace

std::unordered_set<std::string> TenantNames(const ServerConfig& config) {
  std::unordered_set<std::string> names = {identity::kDefaultTenant};
  for (const auto& tenant : config.tenants()) names.insert(tenant.name());
  return names;
}

const TenantLimits& LimitsOf(const ServerConfig& config, const std::string& tenant) {
  for (const auto& entry : config.tenants()) {
    if (entry.name() == tenant) return entry.limits();
  }
  return config.default_tenant();
}

core::TenantLimits QuotaOf(const TenantLimits& limits) {
  return {.live_sandboxes = limits.maximum_live_sandboxes(),
          .snapshots = limits.maximum_snapshots(),
          .executions = limits.maximum_concurrent_executions(),
          .memory_bytes = limits.maximum_memory_bytes()};
}

int BurstOf(const TenantLimits& limits) {
  if (limits.burst() > 0) return limits.burst();
  return std::max(1, static_cast<int>(std::ceil(limits.requests_per_second())));
}

void CheckIdentity(const ServerConfig& config, Violations* violations) {
  const std::string& audit = config.audit().file();
  if (!audit.empty() && audit.front() != '/') {
    violations->Add("audit.file", "must be an absolute path");
  }
  CheckAuthentication(config, violations);
  CheckTenants(config, violations);
  CheckLimits(config, config.default_tenant(), "default_tenant", violations);
  CheckReach(config, violations);
}

}  // namespace cloister::server
