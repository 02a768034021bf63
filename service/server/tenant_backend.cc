#include "service/server/tenant_backend.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sandbox/base/monotonic_time.h"
#include "service/base/proto_time.h"
#include "service/core/error.h"
#include "service/pool/party_source.h"
#include "service/rpc/remote_error.h"
#include "service/server/options.h"
#include "service/server/tenant_config.h"

namespace cloister::server {

namespace {

std::unique_ptr<core::RateLimit> RateLimitOf(const internal::v1::TenantLimits& limits) {
  if (limits.requests_per_second() == 0) return nullptr;
  return std::make_unique<core::RateLimit>(limits.requests_per_second(), BurstOf(limits));
}

}  // namespace

TenantBackend::TenantBackend(const TenantContext& context, const std::string& name, int number)
    : name_(name),
      limits_(LimitsOf(*context.config, name)),
      quota_(std::make_shared<core::TenantQuota>(name, QuotaOf(limits_))),
      rate_(RateLimitOf(limits_)),
      server_info_(context.info),
      validator_(rpc::RequestBounds(), LimitsPolicyOf(*context.config)),
      sandbox_validator_(&validator_, LifetimePolicyOf(*context.config)) {
  const internal::v1::ServerConfig& config = *context.config;
  const pool::Party party{.id = number, .weight = limits_.weight() == 0 ? 1 : limits_.weight()};
  source_ = std::make_unique<pool::PartySource>(
      context.pools, party,
      std::vector<std::string>(limits_.templates().begin(), limits_.templates().end()));
  core::SandboxManagerOptions sandboxes = SandboxOptionsOf(config);
  sandboxes.server_count = context.live_count;
  sandboxes.quota = quota_;
  sandboxes_ = std::make_unique<core::SandboxManager>(context.loop, source_.get(), context.observer,
                                                      std::move(sandboxes));
  forks_ = std::make_unique<core::ForkManager>(
      context.loop, sandboxes_.get(), context.observer,
      core::ForkManagerOptions{.maximum_snapshots = config.live_sandboxes().maximum_snapshots(),
                               .server_snapshots = context.snapshot_count,
                               .quota = quota_});
  interpreters_ = std::make_unique<core::InterpreterManager>(sandboxes_.get(), context.observer);
  core::FileManagerOptions files;
  files.server_streams = context.file_stream_count;
  files.server_calls = context.file_call_count;
  files_ = std::make_unique<core::FileManager>(context.loop, sandboxes_.get(), context.observer,
                                               std::move(files));
  messages_ = std::make_unique<core::MessageManager>(sandboxes_.get());
  core::ExecutionManagerOptions executions = ExecutionOptionsOf(config);
  executions.quota = quota_;
  executions_ = std::make_unique<core::ExecutionManager>(
      context.loop, source_.get(), context.observer, std::move(executions), sandboxes_.get());
  interpreter_requests_ = std::make_unique<core::InterpreterRequests>(
      core::InterpreterRequests::Context{.sandboxes = sandboxes_.get(),
                                         .interpreters = interpreters_.get(),
                                         .executions = executions_.get(),
                                         .clone_of = rpc::CloneOfException});
  sandboxes_->SetGuestRequests(interpreter_requests_.get());
  backend_ = {.loop = context.loop,
              .executions = executions_.get(),
              .sandboxes = sandboxes_.get(),
              .forks = forks_.get(),
              .interpreters = interpreters_.get(),
              .files = files_.get(),
              .messages = messages_.get(),
              .validator = &validator_,
              .sandbox_validator = &sandbox_validator_,
              .request_memory = context.request_memory,
              .map_memory = context.map_memory,
              .message_memory = context.message_memory,
              .default_template =
                  limits_.templates().empty() ? config.templates(0).name() : limits_.templates(0),
              .keep_alive_interval = base::FromProto(config.keep_alive_interval()),
              .info = [this] { return Info(); }};
}

v1::GetInfoResponse TenantBackend::Info() const {
  v1::GetInfoResponse info = server_info_();
  v1::LiveSandboxes& live = *info.mutable_live_sandboxes();
  live.set_count(sandboxes_->count());
  live.set_snapshot_count(forks_->snapshot_count());
  if (limits_.maximum_live_sandboxes() > 0) {
    live.set_maximum_count(std::min(live.maximum_count(), limits_.maximum_live_sandboxes()));
  }
  if (limits_.maximum_snapshots() > 0) {
    live.set_maximum_snapshot_count(
        std::min(live.maximum_snapshot_count(), limits_.maximum_snapshots()));
  }
  if (limits_.templates().empty()) return info;
  // Its default one first.
  google::protobuf::RepeatedPtrField<v1::Template> offered;
  for (const std::string& name : limits_.templates()) {
    for (v1::Template& entry : *info.mutable_templates()) {
      if (entry.name() == name) offered.Add()->Swap(&entry);
    }
  }
  info.mutable_templates()->Swap(&offered);
  return info;
}

absl::Status TenantBackend::AdmitCall() const {
  if (rate_ == nullptr) return absl::OkStatus();
  const absl::Duration wait = rate_->Take(absl::FromUnixNanos(sandbox::MonotonicNanoseconds()));
  if (wait == absl::ZeroDuration()) return absl::OkStatus();
  const std::string bound = absl::StrCat(
      limits_.requests_per_second(), " calls a second on average, ", BurstOf(limits_), " at once");
  return core::WithQuotaFailure(
      core::WithRetryDelay(core::MakeError(v1::ERROR_REASON_RATE_EXCEEDED,
                                           absl::StrCat("the tenant may make ", bound,
                                                        "; retry in ", absl::FormatDuration(wait))),
                           wait),
      absl::StrCat("tenants/", name_, "/requests_per_second"), bound);
}

void TenantBackend::Drain(absl::Duration timeout, std::function<void()> drained) {
  sandboxes_->BeginDrain();
  executions_->Drain(timeout, std::move(drained));
}

void TenantBackend::EndAll() {
  sandboxes_->EndAll();
  forks_->EndAll();
}

void TenantBackend::Close() {
  executions_.reset();
  messages_.reset();
  interpreters_.reset();
  sandboxes_.reset();
  forks_.reset();
  files_.reset();
  interpreter_requests_.reset();
  source_.reset();
}

}  // namespace cloister::server
