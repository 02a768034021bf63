// Who calls: from what a call brought along to the name of its tenant.

#ifndef CLOISTER_SERVICE_IDENTITY_AUTHENTICATOR_H_
#define CLOISTER_SERVICE_IDENTITY_AUTHENTICATOR_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "service/identity/token_table.h"

namespace cloister::identity {

inline constexpr char kDefaultTenant[] = "default";
// Of a token as it is sent.
inline constexpr size_t kMaximumTokenBytes = 512;

// What a call brought along, as the transport tells it.
struct Presented {
  // Values of metadata `authorization`, as they came.
  std::vector<std::string_view> authorization = {};
  // From a unix socket or a loopback address.
  bool is_local = false;
  // Of a client certificate that was verified; none without one.
  std::vector<std::string> certificate_names = {};
  std::string certificate_id = {};
};

struct Caller {
  std::string tenant;
  // "token:" and the first eight digits of its hash, "certificate:" and its id, or "none".
  std::string credential;
};

// Which tenant a certificate's name stands for.
using CertificateTenants = std::unordered_map<std::string, std::string>;

struct AuthenticatorOptions {
  // Whether callers without credentials are "default"; only local ones.
  bool allow_anonymous = false;
  std::function<absl::Time()> now = nullptr;
};

// Thread-safety: safe.
class Authenticator {
 public:
  explicit Authenticator(AuthenticatorOptions options) : options_(std::move(options)) {}
  Authenticator(const Authenticator&) = delete;
  Authenticator& operator=(const Authenticator&) = delete;

  // From the next call on.
  void SetTokens(std::shared_ptr<const TokenTable> tokens) ABSL_LOCKS_EXCLUDED(mutex_);
  void SetCertificates(std::shared_ptr<const CertificateTenants> certificates)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Errors: CREDENTIALS_MISSING, CREDENTIALS_INVALID, CREDENTIALS_EXPIRED. None holds anything of
  // what was presented.
  absl::StatusOr<Caller> Authenticate(const Presented& presented) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::StatusOr<Caller> FromToken(std::string_view authorization) const;
  absl::StatusOr<Caller> FromCertificate(const Presented& presented) const;

  const AuthenticatorOptions options_;
  mutable absl::Mutex mutex_;
  std::shared_ptr<const TokenTable> tokens_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<const TokenTable>();
  std::shared_ptr<const CertificateTenants> certificates_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<const CertificateTenants>();
};

}  // namespace cloister::identity

#endif  // CLOISTER_SERVICE_IDENTITY_AUTHENTICATOR_H_
