#include "service/server/tenant_backend.h"

#include <utility>

#include "service/base/proto_time.h"
#include "service/rpc/remote_error.h"
#include "service/server/options.h"

namespace cloister::server {

TenantBackend::TenantBackend(const TenantContext& context)
    : server_info_(context.info),
      validator_(rpc::RequestBounds(), LimitsPolicyOf(*context.config)),
      sandbox_validator_(&validator_, LifetimePolicyOf(*context.config)),
      request_memory_(context.config->queue().maximum_bytes(), context.call_observer),
      map_memory_(context.config->queue().maximum_bytes(), context.call_observer),
      message_memory_(context.config->queue().maximum_bytes(), context.call_observer) {
  const internal::v1::ServerConfig& config = *context.config;
  sandboxes_ = std::make_unique<core::SandboxManager>(context.loop, context.source,
                                                      context.observer, SandboxOptionsOf(config));
  forks_ = std::make_unique<core::ForkManager>(context.loop, sandboxes_.get(), context.observer,
                                               config.live_sandboxes().maximum_snapshots());
  interpreters_ = std::make_unique<core::InterpreterManager>(sandboxes_.get(), context.observer);
  files_ = std::make_unique<core::FileManager>(context.loop, sandboxes_.get(), context.observer,
                                               core::FileManagerOptions());
  messages_ = std::make_unique<core::MessageManager>(sandboxes_.get());
  executions_ = std::make_unique<core::ExecutionManager>(
      context.loop, context.source, context.observer, ExecutionOptionsOf(config), sandboxes_.get());
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
              .request_memory = &request_memory_,
              .map_memory = &map_memory_,
              .message_memory = &message_memory_,
              .default_template = config.templates(0).name(),
              .keep_alive_interval = base::FromProto(config.keep_alive_interval()),
              .info = [this] { return Info(); }};
}

v1::GetInfoResponse TenantBackend::Info() const {
  v1::GetInfoResponse info = server_info_();
  info.mutable_live_sandboxes()->set_count(sandboxes_->count());
  info.mutable_live_sandboxes()->set_snapshot_count(forks_->snapshot_count());
  return info;
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
}

}  // namespace cloister::server
