#include "service/server/tenant_gate.h"

#include <memory>
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
  // Of no matter to who brought a token.
  if (presented.authorization.empty()) presented.is_local = IsLocalPeer(context.peer());
  return presented;
}

}  // namespace

rpc::Admission TenantGate::Admit(const grpc::CallbackServerContext& context,
                                 core::CallMethod method) {
  std::unique_ptr<core::CallParties> parties;
  if (is_audited_) {
    parties = std::make_unique<core::CallParties>(
        core::CallParties{.tenant = "", .credential = "none", .peer = context.peer()});
  }
  const absl::StatusOr<const TenantBackend*> tenant = TenantOf(context, parties.get());
  rpc::Admission admission{.record = rpc::CallRecord(observer_, method, std::move(parties))};
  if (tenant.ok()) {
    admission.backend = &(*tenant)->backend();
  } else {
    admission.refusal = tenant.status();
  }
  return admission;
}

absl::StatusOr<const TenantBackend*> TenantGate::TenantOf(
    const grpc::CallbackServerContext& context, core::CallParties* parties) const {
  identity::Caller caller{.tenant = identity::kDefaultTenant, .credential = "none"};
  if (authenticator_ != nullptr) {
    CLOISTER_ASSIGN_OR_RETURN(caller, authenticator_->Authenticate(PresentedBy(context)));
  }
  if (parties != nullptr) {
    parties->tenant = caller.tenant;
    parties->credential = caller.credential;
  }
  const TenantBackend* const tenant = tenants_.Find(caller.tenant);
  if (tenant == nullptr) {
    return core::MakeError(v1::ERROR_REASON_CREDENTIALS_INVALID,
                           "the credentials are of a tenant that this server does not have");
  }
  CLOISTER_RETURN_IF_ERROR(tenant->AdmitCall());
  return tenant;
}

}  // namespace cloister::server
