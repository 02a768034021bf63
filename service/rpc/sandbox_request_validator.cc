#include "service/rpc/sandbox_request_validator.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "service/rpc/limits_resolver.h"

namespace cloister::rpc {
namespace {

constexpr int kDefaultPageSize = 50;
constexpr int kMaximumPageSize = 500;
constexpr int kMaximumForkCount = 100;
constexpr size_t kMaximumPageTokenBytes = 64;

}  // namespace

template <typename Request>
Lifetime SandboxRequestValidator::CheckLifetime(const Request& request,
                                                Violations* violations) const {
  Lifetime lifetime;
  if (request.has_ttl()) {
    lifetime.ttl = CheckedDuration(request.ttl(), policy_.maximum_ttl, "ttl", violations);
  }
  if (request.has_idle_timeout()) {
    lifetime.idle_timeout = CheckedDuration(request.idle_timeout(), policy_.maximum_idle_timeout,
                                            "idle_timeout", violations);
  }
  return lifetime;
}

absl::StatusOr<CheckedSandbox> SandboxRequestValidator::Check(
    const v1::CreateSandboxRequest& request) const {
  Violations violations;
  CheckRequestId(request.request_id(), &violations);
  CheckTemplateName(request.template_(), &violations);
  if (!request.snapshot().empty()) {
    CheckName(request.snapshot(), "snapshot", &violations);
    if (!request.template_().empty()) {
      violations.Add("template", "must be empty with `snapshot`, which has one already");
    }
  }
  CheckedSandbox checked;
  checked.limits = ResolveLimits(request.limits(), programs_.policy(), "limits", &violations);
  programs_.CheckEnvironment(request.environment(), "", &violations);
  sandbox::Limits of_files = checked.limits;
  if (!request.snapshot().empty()) {
    // What is unset is the snapshot's, which is not known here.
    const sandbox::Limits& most = programs_.policy().maximum;
    if (!request.limits().has_memory_bytes()) of_files.memory_bytes = most.memory_bytes;
    if (!request.limits().has_workspace_bytes()) of_files.workspace_bytes = most.workspace_bytes;
  }
  programs_.CheckFiles(request.files(), of_files, "", &violations);
  const Lifetime lifetime = CheckLifetime(request, &violations);
  if (!violations.empty()) return violations.ToStatus();
  checked.ttl = lifetime.ttl.value_or(policy_.default_ttl);
  checked.idle_timeout = lifetime.idle_timeout.value_or(policy_.default_idle_timeout);
  return checked;
}

absl::StatusOr<Lifetime> SandboxRequestValidator::Check(
    const v1::UpdateSandboxRequest& request) const {
  Violations violations;
  CheckName(request.name(), "name", &violations);
  if (!request.has_ttl() && !request.has_idle_timeout()) {
    violations.Add("ttl", "set this, or `idle_timeout`: there is nothing to update");
  }
  const Lifetime lifetime = CheckLifetime(request, &violations);
  if (!violations.empty()) return violations.ToStatus();
  return lifetime;
}

absl::StatusOr<CheckedFork> SandboxRequestValidator::Check(
    const v1::ForkSandboxRequest& request) const {
  Violations violations;
  CheckRequestId(request.request_id(), &violations);
  CheckName(request.name(), "name", &violations);
  if (request.count() < 0 || request.count() > kMaximumForkCount) {
    violations.Add("count", absl::StrCat("is not from 1 to ", kMaximumForkCount,
                                         "; 0 means one"));
  }
  (void)ResolveLimits(request.limits(), programs_.policy(), "limits", &violations);
  const Lifetime lifetime = CheckLifetime(request, &violations);
  if (!violations.empty()) return violations.ToStatus();
  return CheckedFork{.count = std::max(1, request.count()),
                     .ttl = lifetime.ttl.value_or(policy_.default_ttl),
                     .idle_timeout = lifetime.idle_timeout.value_or(policy_.default_idle_timeout)};
}

absl::StatusOr<absl::Duration> SandboxRequestValidator::Check(
    const v1::CreateSnapshotRequest& request) const {
  Violations violations;
  CheckRequestId(request.request_id(), &violations);
  CheckName(request.sandbox(), "sandbox", &violations);
  absl::Duration ttl = policy_.default_ttl;
  if (request.has_ttl()) {
    ttl = CheckedDuration(request.ttl(), policy_.maximum_ttl, "ttl", &violations);
  }
  if (!violations.empty()) return violations.ToStatus();
  return ttl;
}

absl::StatusOr<int> SandboxRequestValidator::Check(const v1::ListSnapshotsRequest& request) const {
  v1::ListSandboxesRequest same;
  same.set_page_size(request.page_size());
  same.set_page_token(request.page_token());
  return Check(same);
}

absl::StatusOr<int> SandboxRequestValidator::Check(const v1::ListSandboxesRequest& request) const {
  Violations violations;
  if (request.page_size() < 0) violations.Add("page_size", "is negative; 0 means the default");
  if (request.page_token().size() > kMaximumPageTokenBytes) {
    violations.Add("page_token", "is not one that this server gave out");
  }
  if (!violations.empty()) return violations.ToStatus();
  if (request.page_size() == 0) return kDefaultPageSize;
  return std::min(request.page_size(), kMaximumPageSize);
}

absl::Status SandboxRequestValidator::CheckSandboxName(const std::string& name) {
  Violations violations;
  CheckName(name, "name", &violations);
  return violations.ToStatus();
}

}  // namespace cloister::rpc
