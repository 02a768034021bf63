#include "service/core/tenant_quota.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/core/error.h"

namespace cloister::core {
namespace {

// Executions last for the length of a few programs.
constexpr absl::Duration kRetryDelay = absl::Seconds(1);

absl::Status Exceeded(v1::ErrorReason reason, const std::string& subject, int64_t maximum,
                      absl::string_view what, absl::string_view advice) {
  const std::string bound = absl::StrCat(maximum);
  return WithQuotaFailure(
      WithMetadata(MakeError(reason, absl::StrCat("the tenant has ", bound, " ", what,
                                                  ", as many as it may; ", advice)),
                   "maximum", bound),
      subject, absl::StrCat("at most ", bound, " at once"));
}

}  // namespace

std::string TenantQuota::Subject(const char* what) const {
  return absl::StrCat("tenants/", tenant_, "/", what);
}

absl::Status TenantQuota::CheckSandboxes(int count, int wanted) const {
  if (limits_.live_sandboxes == 0 || count + wanted <= limits_.live_sandboxes) {
    return absl::OkStatus();
  }
  return Exceeded(v1::ERROR_REASON_SANDBOX_COUNT_EXCEEDED, Subject("live_sandboxes"),
                  limits_.live_sandboxes, "live sandboxes",
                  "delete one, or wait until one expires");
}

absl::Status TenantQuota::CheckSnapshots(int count) const {
  if (limits_.snapshots == 0 || count < limits_.snapshots) return absl::OkStatus();
  return Exceeded(v1::ERROR_REASON_SNAPSHOT_COUNT_EXCEEDED, Subject("snapshots"), limits_.snapshots,
                  "snapshots", "delete one");
}

absl::Status TenantQuota::CheckExecutions(int count) const {
  if (limits_.executions == 0 || count < limits_.executions) return absl::OkStatus();
  return WithRetryDelay(
      Exceeded(v1::ERROR_REASON_CONCURRENCY_EXCEEDED, Subject("executions"), limits_.executions,
               "executions queued and running", "retry when one has ended"),
      kRetryDelay);
}

absl::StatusOr<TenantQuota::MemoryShare> TenantQuota::TakeMemory(int64_t bytes) {
  if (HasMemory(bytes)) return HoldMemory(bytes);
  const std::string bound = absl::StrCat(limits_.memory_bytes);
  return WithQuotaFailure(
      WithMetadata(
          MakeError(v1::ERROR_REASON_TENANT_MEMORY_EXCEEDED,
                    absl::StrCat("the memory limits of the tenant's live sandboxes and executions "
                                 "are ",
                                 *memory_, " of ", bound, " bytes, and this asks for ", bytes,
                                 " more; set a smaller limit, or end something")),
          "maximum", bound),
      Subject("memory_bytes"), absl::StrCat("at most ", bound, " bytes, by limits"));
}

}  // namespace cloister::core
