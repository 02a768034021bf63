// Who may call, and as which tenant.

#ifndef CLOISTER_SERVICE_SERVER_TENANT_GATE_H_
#define CLOISTER_SERVICE_SERVER_TENANT_GATE_H_

#include "absl/status/statusor.h"
#include "service/identity/authenticator.h"
#include "service/rpc/gate.h"
#include "service/server/tenants.h"

namespace cloister::server {

// Thread-safety: safe. Ownership: all must outlive it.
class TenantGate final : public rpc::Gate {
 public:
  // `authenticator`: null where everybody who can connect is the default tenant.
  // `is_audited`: whether the observer is told who called.
  TenantGate(const Tenants* tenants, const identity::Authenticator* authenticator,
             core::CallObserver* observer, bool is_audited)
      : tenants_(*tenants),
        authenticator_(authenticator),
        observer_(observer),
        is_audited_(is_audited) {}

  rpc::Admission Admit(const grpc::CallbackServerContext& context,
                       core::CallMethod method) override;

 private:
  // Fills `parties` in with what is known, where it is not null.
  absl::StatusOr<const TenantBackend*> TenantOf(const grpc::CallbackServerContext& context,
                                                core::CallParties* parties) const;

  const Tenants& tenants_;
  const identity::Authenticator* const authenticator_;
  core::CallObserver* const observer_;
  const bool is_audited_;
};

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_TENANT_GATE_H_
