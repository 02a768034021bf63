// Who may call, and as which tenant.

#ifndef CLOISTER_SERVICE_SERVER_TENANT_GATE_H_
#define CLOISTER_SERVICE_SERVER_TENANT_GATE_H_

#include "service/rpc/gate.h"
#include "service/server/tenants.h"

namespace cloister::server {

// Thread-safety: safe. Ownership: both must outlive it.
class TenantGate final : public rpc::Gate {
 public:
  TenantGate(const Tenants* tenants, core::CallObserver* observer)
      : tenants_(*tenants), observer_(observer) {}

  rpc::Admission Admit(const grpc::CallbackServerContext& /*context*/,
                       core::CallMethod method) override {
    return {.backend = &tenants_.default_tenant().backend(),
            .record = rpc::CallRecord(observer_, method)};
  }

 private:
  const Tenants& tenants_;
  core::CallObserver* const observer_;
};

}  // namespace cloister::server

#endif  // CLOISTER_SERVICE_SERVER_TENANT_GATE_H_
