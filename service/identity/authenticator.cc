#include "service/identity/authenticator.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "service/core/error.h"

namespace cloister::identity {
namespace {

constexpr absl::string_view kScheme = "bearer";
constexpr char kHowTo[] =
    "send metadata `authorization` with `Bearer TOKEN` (CLOISTER_TOKEN_FILE for our clients)";

absl::Status Missing(absl::string_view why) {
  return core::MakeError(v1::ERROR_REASON_CREDENTIALS_MISSING, absl::StrCat(why, "; ", kHowTo));
}
absl::Status Invalid(absl::string_view why) {
  return core::MakeError(v1::ERROR_REASON_CREDENTIALS_INVALID, std::string(why));
}

bool IsTokenCharacter(char c) { return c > ' ' && c < 0x7f; }

// What follows the scheme and its spaces. None of these errors may quote the value.
absl::StatusOr<std::string_view> TokenOf(std::string_view authorization) {
  const absl::string_view value(authorization.data(), authorization.size());
  if (!absl::StartsWithIgnoreCase(value, kScheme)) {
    return Invalid("`authorization` has another scheme than Bearer");
  }
  std::string_view token = authorization.substr(kScheme.size());
  const size_t begin = token.find_first_not_of(' ');
  if (begin == 0 || begin == std::string_view::npos) {
    return Invalid("`authorization` has no token behind `Bearer `");
  }
  token.remove_prefix(begin);
  if (token.size() > kMaximumTokenBytes) {
    return Invalid(absl::StrCat("the token is longer than ", kMaximumTokenBytes, " bytes"));
  }
  if (!std::all_of(token.begin(), token.end(), IsTokenCharacter)) {
    return Invalid("the token has characters that no token has");
  }
  return token;
}

}  // namespace

void Authenticator::SetTokens(std::shared_ptr<const TokenTable> tokens) {
  absl::MutexLock lock(&mutex_);
  tokens_ = std::move(tokens);
}

void Authenticator::SetCertificates(std::shared_ptr<const CertificateTenants> certificates) {
  absl::MutexLock lock(&mutex_);
  certificates_ = std::move(certificates);
}

absl::StatusOr<Caller> Authenticator::Authenticate(const Presented& presented) const {
  if (presented.authorization.size() > 1) {
    return Invalid("there are several `authorization` values; send one");
  }
  std::optional<Caller> by_token;
  if (!presented.authorization.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(by_token, FromToken(presented.authorization.front()));
  }
  if (presented.certificate_names.empty()) {
    if (by_token.has_value()) return *std::move(by_token);
    if (!options_.allow_anonymous) return Missing("this server wants credentials");
    if (!presented.is_local) {
      return Missing("only callers on the server's own machine may come without credentials");
    }
    return Caller{.tenant = kDefaultTenant, .credential = "none"};
  }
  absl::StatusOr<Caller> by_certificate = FromCertificate(presented);
  if (!by_token.has_value()) return by_certificate;
  // A certificate that stands for nobody still proves whose connection it is; the token says which
  // tenant.
  if (by_certificate.ok() && by_certificate->tenant != by_token->tenant) {
    return Invalid("the token and the client certificate are of different tenants");
  }
  return *std::move(by_token);
}

absl::StatusOr<Caller> Authenticator::FromToken(std::string_view authorization) const {
  CLOISTER_ASSIGN_OR_RETURN(const std::string_view token, TokenOf(authorization));
  std::shared_ptr<const TokenTable> tokens;
  {
    absl::MutexLock lock(&mutex_);
    tokens = tokens_;
  }
  const TokenTable::Token* const found = tokens->Find(token);
  if (found == nullptr) return Invalid("the token is none of this server's");
  if (found->expires <= options_.now()) {
    return core::MakeError(v1::ERROR_REASON_CREDENTIALS_EXPIRED,
                           "the token has expired; get a new one");
  }
  return Caller{.tenant = found->tenant,
                .credential = absl::StrCat("token:", found->digest.ShortHex())};
}

absl::StatusOr<Caller> Authenticator::FromCertificate(const Presented& presented) const {
  std::shared_ptr<const CertificateTenants> certificates;
  {
    absl::MutexLock lock(&mutex_);
    certificates = certificates_;
  }
  std::optional<std::string> tenant;
  for (const std::string& name : presented.certificate_names) {
    const auto found = certificates->find(name);
    if (found == certificates->end()) continue;
    if (tenant.has_value() && *tenant != found->second) {
      return Invalid("the client certificate has names of several tenants");
    }
    tenant = found->second;
  }
  if (!tenant.has_value()) {
    return Invalid("no name of the client certificate stands for a tenant of this server");
  }
  return Caller{.tenant = *std::move(tenant),
                .credential = absl::StrCat("certificate:", presented.certificate_id)};
}

}  // namespace cloister::identity
