#include "service/server/tenant_gate.h"

#include <string_view>
#include <utility>

#include "grpcpp/server_context.h"
#include "sandbox/base/status_macros.h"
#include "service/core/error.h"
#include "service/server/peer.h"

namespace cloister::server {
namespace {

identity::Presented PresentedBy(const grpc::CallbackServerContext& context) {
  identity::Presented presented;
  const auto& metadata = context.client_metadata();
  const auto values = metadata.equal_range("authorization");
  for (auto it = values.first; it != values.second; ++it) {
    presented.authorization.emplace_back(it->second.data(), it->second.size());
  }
  presented.is_local = IsLocalPeer(context.peer());
  return presented;
}

}  // namespace

rpc::Admission TenantGate::Admit(const grpc::CallbackServerContext& context,
                                 core::CallMethod method) {
  rpc::Admission admission{.record = rpc::CallRecord(observer_, method)};
  const absl::StatusOr<const TenantBackend*> tenant = TenantOf(context);
  if (tenant.ok()) {
    admission.backend = &(*tenant)->backend();
  } else {
    admission.refusal = tenant.status();
  }
  return admission;
}

absl::StatusOr<const TenantBackend*> TenantGate::TenantOf(
    const grpc::CallbackServerContext& context) const {
  const TenantBackend* tenant = &tenants_.default_tenant();
  if (authenticator_ != nullptr) {
    CLOISTER_ASSIGN_OR_RETURN(const identity::Caller caller,
                              authenticator_->Authenticate(PresentedBy(context)));
    tenant = tenants_.Find(caller.tenant);
    if (tenant == nullptr) {
      return core::MakeError(v1::ERROR_REASON_CREDENTIALS_INVALID,
                             "the credentials are of a tenant that this server does not have");
    }
  }
  CLOISTER_RETURN_IF_ERROR(tenant->AdmitCall());
  return tenant;
}

}  // namespace cloister::server
