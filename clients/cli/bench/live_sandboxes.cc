#include "clients/cli/bench/live_sandboxes.h"

#include "cloister/client/channel.h"
#include "cloister/client/service_error.h"

namespace cloister::cli::bench {

LiveSandboxes::LiveSandboxes(const std::string& address)
    : address_(address),
      sandboxes_(v1::SandboxService::NewStub(client::CreateChannel(address))),
      interpreters_(v1::InterpreterService::NewStub(client::CreateChannel(address))),
      executions_(v1::ExecutionService::NewStub(client::CreateChannel(address))) {}

absl::StatusOr<std::string> LiveSandboxes::Create(const std::string& template_name) {
  v1::CreateSandboxRequest request;
  request.set_template_(template_name);
  grpc::ClientContext context;
  v1::CreateSandboxResponse response;
  const grpc::Status status = sandboxes_->CreateSandbox(&context, request, &response);
  if (!status.ok()) return Error(status);
  return names_.emplace_back(response.sandbox().name());
}

absl::Status LiveSandboxes::Fork(const std::string& parent, int count) {
  v1::ForkSandboxRequest request;
  request.set_name(parent);
  request.set_count(count);
  grpc::ClientContext context;
  v1::ForkSandboxResponse response;
  const grpc::Status status = sandboxes_->ForkSandbox(&context, request, &response);
  if (!status.ok()) return Error(status);
  for (const v1::Sandbox& fork : response.sandboxes()) names_.push_back(fork.name());
  return absl::OkStatus();
}

absl::StatusOr<std::string> LiveSandboxes::AddInterpreter(const std::string& sandbox,
                                                          v1::Interpreter::Profile profile,
                                                          const std::string& id) {
  v1::CreateInterpreterRequest request;
  request.set_sandbox(sandbox);
  request.set_profile(profile);
  request.set_interpreter_id(id);
  grpc::ClientContext context;
  v1::CreateInterpreterResponse response;
  const grpc::Status status = interpreters_->CreateInterpreter(&context, request, &response);
  if (!status.ok()) return Error(status);
  return response.interpreter().name();
}

absl::Status LiveSandboxes::Run(const std::string& interpreter, const std::string& code) {
  v1::RunCodeRequest request;
  request.set_interpreter(interpreter);
  request.mutable_program()->set_code(code);
  grpc::ClientContext context;
  v1::RunCodeResponse response;
  const grpc::Status status = executions_->RunCode(&context, request, &response);
  if (!status.ok()) return Error(status);
  return response.outcome().kind() == v1::Outcome::KIND_SUCCEEDED
             ? absl::OkStatus()
             : absl::InternalError(response.outcome().detail());
}

void LiveSandboxes::DeleteFrom(size_t first) {
  for (size_t i = first; i < names_.size(); ++i) {
    v1::DeleteSandboxRequest request;
    request.set_name(names_[i]);
    grpc::ClientContext context;
    v1::DeleteSandboxResponse response;
    (void)sandboxes_->DeleteSandbox(&context, request, &response);
  }
  names_.resize(first);
}

absl::Status LiveSandboxes::Error(const grpc::Status& status) const {
  return absl::UnavailableError(client::ErrorText(client::ParseServiceError(status), address_));
}

}  // namespace cloister::cli::bench
