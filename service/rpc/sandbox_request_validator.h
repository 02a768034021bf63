// Judges the requests of SandboxService before anything is spent on them. Pure; all errors are
// FIELD_INVALID and name every bad field.

#ifndef CLOISTER_SERVICE_RPC_SANDBOX_REQUEST_VALIDATOR_H_
#define CLOISTER_SERVICE_RPC_SANDBOX_REQUEST_VALIDATOR_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cloister/v1/sandbox_service.pb.h"
#include "sandbox/base/limits.h"
#include "service/rpc/request_validator.h"

namespace cloister::rpc {

// What an unset field means, and what a field may be at most.
struct LifetimePolicy {
  absl::Duration default_ttl = absl::Hours(1);
  absl::Duration maximum_ttl = absl::Hours(24);
  absl::Duration default_idle_timeout = absl::Minutes(15);
  absl::Duration maximum_idle_timeout = absl::Hours(24);
};

// Times as a request asks for them; unset where it does not.
struct Lifetime {
  std::optional<absl::Duration> ttl;
  std::optional<absl::Duration> idle_timeout;
};

struct CheckedSandbox {
  sandbox::Limits limits;
  absl::Duration ttl;
  absl::Duration idle_timeout;
};

struct CheckedFork {
  int count = 1;
  absl::Duration ttl;
  absl::Duration idle_timeout;
};

// Thread-safety: safe; const after construction. Ownership: `programs` must outlive it.
class SandboxRequestValidator {
 public:
  SandboxRequestValidator(const RequestValidator* programs, const LifetimePolicy& policy)
      : programs_(*programs), policy_(policy) {}

  absl::StatusOr<CheckedSandbox> Check(const v1::CreateSandboxRequest& request) const;
  absl::StatusOr<Lifetime> Check(const v1::UpdateSandboxRequest& request) const;
  // The size of the page.
  absl::StatusOr<int> Check(const v1::ListSandboxesRequest& request) const;

  absl::StatusOr<CheckedFork> Check(const v1::ForkSandboxRequest& request) const;
  // How long the snapshot lives.
  absl::StatusOr<absl::Duration> Check(const v1::CreateSnapshotRequest& request) const;
  absl::StatusOr<int> Check(const v1::ListSnapshotsRequest& request) const;

  // For requests that hold no more than a name.
  static absl::Status CheckSandboxName(const std::string& name);

  const LifetimePolicy& policy() const { return policy_; }

 private:
  template <typename Request>
  Lifetime CheckLifetime(const Request& request, Violations* violations) const;

  const RequestValidator& programs_;
  const LifetimePolicy policy_;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_SANDBOX_REQUEST_VALIDATOR_H_
