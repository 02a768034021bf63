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
  TenantGate(const Tenants* tenants, const identity::Authenticator* authenticator,
             core::CallObserver* observer)
      : tenants_(*tenants), authenticator_(authenticator), observer_(observer) {}

  rpc::Admission Admit(const grpc::CallbackServerContext& context,
                       core::CallMethod method) override;

 private:
  absl::StatusOr<const TenantBackend*> TenantOf(const grpc::CallbackServerContext& context) const;

  const Tenants& tenants_;
  const identity::Authenticator* const authenticator_;
  core::CallObserver* const observer_;
};

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_TENANT_GATE_H_
