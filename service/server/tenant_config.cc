#include "service/server/tenant_config.h"

#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "service/identity/authenticator.h"
#include "service/rpc/request_bounds.h"
#include "service/server/listen_address.h"

namespace cloister::server {
namespace {

using internal::v1::ServerConfig;
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

void CheckIdentity(const ServerConfig& config, Violations* violations) {
  CheckAuthentication(config, violations);
  CheckTenants(config, violations);
  CheckReach(config, violations);
}

}  // namespace cloister::server
