#include "cloister/client/sandbox.h"

#include <algorithm>
#include <utility>

namespace cloister::client {
namespace {

// A destructor waits no longer than that for a server.
constexpr absl::Duration kLettingGo = absl::Seconds(10);

void SetDuration(absl::Duration from, google::protobuf::Duration* to) {
  to->set_seconds(absl::IDivDuration(from, absl::Seconds(1), &from));
  to->set_nanos(static_cast<int>(absl::IDivDuration(from, absl::Nanoseconds(1), &from)));
}

}  // namespace

Sandbox& Sandbox::operator=(Sandbox&& other) noexcept {
  if (this == &other) return *this;
  LetGo();
  services_ = std::move(other.services_);
  name_ = std::move(other.name_);
  is_owned_ = other.is_owned_;
  return *this;
}

Sandbox::~Sandbox() { LetGo(); }

// A server that cannot be told ends it by its idle_timeout.
void Sandbox::LetGo() {
  if (services_ != nullptr && is_owned_) (void)DeleteWithin(std::min(services_->timeout, kLettingGo));
}

absl::StatusOr<v1::RunCodeResponse> Sandbox::Run(absl::string_view code) const {
  v1::RunCodeRequest request;
  request.set_interpreter(name_);
  request.mutable_program()->set_code(code.data(), code.size());
  return services_->Call(*services_->executions, &v1::ExecutionService::Stub::RunCode, request);
}

absl::Status Sandbox::Execute(absl::string_view code,
                              const ExecutionFollower::EventCallback& on_event) const {
  v1::ExecuteRequest request;
  request.set_interpreter(name_);
  request.mutable_program()->set_code(code.data(), code.size());
  ExecutionFollower follower(services_->executions.get());
  return ToStatus(follower.Execute(request, on_event));
}

absl::StatusOr<v1::Outcome> Sandbox::Interrupt(absl::Duration grace) const {
  v1::InterruptExecutionRequest request;
  request.set_interpreter(name_);
  SetDuration(grace, request.mutable_grace());
  auto answer = services_->Call(*services_->executions,
                                &v1::ExecutionService::Stub::InterruptExecution, request);
  if (!answer.ok()) return answer.status();
  return std::move(*answer->mutable_outcome());
}

absl::StatusOr<std::vector<Sandbox>> Sandbox::Fork(int count) const {
  v1::ForkSandboxRequest request;
  request.set_name(name_);
  request.set_count(count);
  auto made =
      services_->Call(*services_->sandboxes, &v1::SandboxService::Stub::ForkSandbox, request);
  if (!made.ok()) return made.status();
  std::vector<Sandbox> forks;
  for (const v1::Sandbox& fork : made->sandboxes()) {
    forks.push_back(Sandbox(services_, fork.name(), /*is_owned=*/true));
  }
  return forks;
}

absl::StatusOr<std::string> Sandbox::CreateSnapshot() const {
  v1::CreateSnapshotRequest request;
  request.set_sandbox(name_);
  auto made =
      services_->Call(*services_->sandboxes, &v1::SandboxService::Stub::CreateSnapshot, request);
  if (!made.ok()) return made.status();
  return made->snapshot().name();
}

absl::Status Sandbox::Delete() {
  is_owned_ = false;
  return DeleteWithin(services_->timeout);
}

absl::Status Sandbox::DeleteWithin(absl::Duration timeout) const {
  v1::DeleteSandboxRequest request;
  request.set_name(name_);
  return services_
      ->Call(*services_->sandboxes, &v1::SandboxService::Stub::DeleteSandbox, request, timeout)
      .status();
}

std::string Sandbox::Release() {
  is_owned_ = false;
  return name_;
}

}  // namespace cloister::client
