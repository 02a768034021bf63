#include "service/server/credentials.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "sandbox/base/status_macros.h"
#include "service/server/tenant_config.h"

namespace cloister::server {

Credentials::Credentials(const internal::v1::ServerConfig& config, observability::Log* log,
                         observability::Metrics* metrics)
    : is_required_(config.has_authentication()),
      tenants_(TenantNames(config)),
      log_(*log),
      metrics_(*metrics),
      authenticator_({.allow_anonymous = config.authentication().allow_anonymous(),
                      .now = [] { return absl::Now(); }}),
      file_(config.authentication().token_file()) {}

absl::Status Credentials::Load() {
  if (!is_required_) return absl::OkStatus();
  const auto failed = [](const absl::Status& why) {
    return absl::FailedPreconditionError(
        absl::StrCat("authentication.token_file: ", why.message(),
                     "\nIt must be readable by the server's user (service_user); `cloister token "
                     "new` makes entries"));
  };
  const absl::StatusOr<std::string> text = file_.Read(identity::kMaximumTokenFileBytes);
  if (!text.ok()) return failed(text.status());
  absl::StatusOr<identity::TokenTable> table =
      identity::TokenTable::Parse(*text, file_.path(), tenants_);
  if (!table.ok()) return failed(table.status());
  log_.Info("tokens read",
            {{"file", file_.path()}, {"count", static_cast<int64_t>(table->size())}});
  authenticator_.SetTokens(std::make_shared<const identity::TokenTable>(*std::move(table)));
  return absl::OkStatus();
}

void Credentials::Reload() {
  if (!is_required_) return;
  const absl::Status loaded = Load();
  metrics_.counter(observability::Metric::kTokenReloads, loaded.ok() ? 0 : 1).Increment();
  if (!loaded.ok()) {
    log_.Error("tokens are as before: the new file is not taken",
               {{"reason", std::string(loaded.message())}});
  }
}

void Credentials::Watch(sandbox::Loop* loop) {
  if (!is_required_) return;
  loop_ = loop;
  timer_ = loop_->CallAfter(kLookInterval, [this] { Look(); });
}

void Credentials::Stop() {
  if (loop_ != nullptr) loop_->Cancel(timer_);
}

void Credentials::Look() {
  if (file_.HasSettledAnew()) Reload();
  timer_ = loop_->CallAfter(kLookInterval, [this] { Look(); });
}

}  // namespace cloister::server
