#include "service/rpc/sandbox_requests.h"

#include <utility>

#include "sandbox/base/status_macros.h"
#include "service/core/error.h"
#include "service/rpc/request_digest.h"

namespace cloister::rpc {

absl::StatusOr<core::CreateSandboxRequest> TakeRequest(const Backend& backend,
                                                       v1::CreateSandboxRequest* request) {
  CLOISTER_ASSIGN_OR_RETURN(const CheckedSandbox checked,
                            backend.sandbox_validator->Check(*request));
  if (!request->snapshot().empty()) {
    return core::MakeError(v1::ERROR_REASON_SNAPSHOT_NOT_FOUND,
                           "this server has no snapshots; name a template instead");
  }
  core::CreateSandboxRequest taken;
  CLOISTER_ASSIGN_OR_RETURN(
      taken.memory, backend.request_memory->Take(static_cast<int64_t>(request->SpaceUsedLong())));
  if (!request->request_id().empty()) {
    taken.request_id = request->request_id();
    taken.payload_digest = RequestDigest("CreateSandbox", *request);
  }
  taken.spec.template_name =
      request->template_().empty() ? backend.default_template : request->template_();
  taken.spec.limits = checked.limits;
  for (const auto& [name, value] : request->environment()) {
    taken.spec.environment.emplace_back(name, value);
  }
  taken.files.reserve(static_cast<size_t>(request->files_size()));
  for (v1::File& file : *request->mutable_files()) taken.files.push_back(std::move(file));
  taken.ttl = checked.ttl;
  taken.idle_timeout = checked.idle_timeout;
  return taken;
}

}  // namespace cloister::rpc
