#include "cloister/client/client.h"

#include <utility>

#include "cloister/client/channel.h"
#include "cloister/client/token.h"

namespace cloister::client {

absl::StatusOr<Client> Client::Connect(const ClientOptions& options) {
  absl::StatusOr<std::string> address = ResolveServerAddress(options.address);
  if (!address.ok()) return address.status();
  absl::StatusOr<std::string> token = ResolveToken(options.token_file);
  if (!token.ok()) return token.status();
  if (!token->empty()) {
    if (absl::Status may = CheckTokenMayGoTo(*address); !may.ok()) return may;
  }
  return Client(std::make_shared<Services>(CreateChannel(*address, *token), options.timeout));
}

absl::StatusOr<v1::RunCodeResponse> Client::Run(const v1::RunCodeRequest& request) const {
  return services_->Call(*services_->executions, &v1::ExecutionService::Stub::RunCode, request);
}

absl::StatusOr<v1::RunCodeResponse> Client::Run(absl::string_view code) const {
  v1::RunCodeRequest request;
  request.mutable_program()->set_code(code.data(), code.size());
  return Run(request);
}

absl::StatusOr<Sandbox> Client::CreateSandbox(const v1::CreateSandboxRequest& request) const {
  auto made =
      services_->Call(*services_->sandboxes, &v1::SandboxService::Stub::CreateSandbox, request);
  if (!made.ok()) return made.status();
  return Sandbox(services_, made->sandbox().name(), /*is_owned=*/true);
}

Sandbox Client::UseSandbox(const std::string& name) const {
  return Sandbox(services_, name, /*is_owned=*/false);
}

absl::StatusOr<v1::GetInfoResponse> Client::GetInfo() const {
  return services_->Call(*services_->info, &v1::InfoService::Stub::GetInfo, v1::GetInfoRequest());
}

}  // namespace cloister::client
