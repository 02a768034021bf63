#include "service/rpc/sandbox_requests.h"

#include <functional>
#include <utility>

#include "sandbox/base/status_macros.h"
#include "service/core/error.h"
#include "service/rpc/limits_resolver.h"
#include "service/rpc/request_digest.h"

namespace cloister::rpc {

namespace {

// What `asked` means where the rest is a parent's. It has been checked.
std::function<sandbox::Limits(const sandbox::Limits&)> LimitsFrom(const Backend& backend,
                                                                  const v1::Limits& asked) {
  return [asked, maximum = backend.validator->policy().maximum](const sandbox::Limits& parent) {
    Violations none;
    return ResolveLimits(asked, {parent, maximum}, "limits", &none);
  };
}

}  // namespace

absl::StatusOr<core::ForkRequest> TakeRequest(const Backend& backend,
                                              const v1::ForkSandboxRequest& request) {
  CLOISTER_ASSIGN_OR_RETURN(const CheckedFork checked, backend.sandbox_validator->Check(request));
  core::ForkRequest taken;
  TakeRequestId("ForkSandbox", request, &taken);
  taken.parent = request.name();
  taken.count = checked.count;
  taken.limits = LimitsFrom(backend, request.limits());
  taken.ttl = checked.ttl;
  taken.idle_timeout = checked.idle_timeout;
  return taken;
}

absl::StatusOr<core::SnapshotRequest> TakeRequest(const Backend& backend,
                                                  const v1::CreateSnapshotRequest& request) {
  core::SnapshotRequest taken;
  CLOISTER_ASSIGN_OR_RETURN(taken.ttl, backend.sandbox_validator->Check(request));
  TakeRequestId("CreateSnapshot", request, &taken);
  taken.sandbox = request.sandbox();
  return taken;
}

absl::StatusOr<core::CreateSandboxRequest> TakeRequest(const Backend& backend,
                                                       v1::CreateSandboxRequest* request) {
  CLOISTER_ASSIGN_OR_RETURN(const CheckedSandbox checked,
                            backend.sandbox_validator->Check(*request));
  core::CreateSandboxRequest taken;
  CLOISTER_ASSIGN_OR_RETURN(
      taken.memory, backend.request_memory->Take(static_cast<int64_t>(request->SpaceUsedLong())));
  TakeRequestId("CreateSandbox", *request, &taken);
  taken.spec.template_name =
      request->template_().empty() ? backend.default_template : request->template_();
  taken.spec.limits = checked.limits;
  taken.spec.snapshot = request->snapshot();
  taken.limits_of_copy = LimitsFrom(backend, request->limits());
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
