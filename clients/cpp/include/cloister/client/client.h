// A Cloister server, as a program in C++ sees it.
//
//   auto client = cloister::client::Client::Connect();
//   auto ran = client->Run("print(6 * 7)");                  // a sandbox that nobody used before
//   auto sandbox = client->CreateSandbox();                  // one that stays, until the object goes
//   sandbox->Run("x = 41");
//   sandbox->Run("print(x + 1)")->stdout();
//
// Errors of all calls: as the comments of the RPC in cloister/v1/*.proto, as an absl::Status that
// ParseServiceError (service_error.h) takes apart into reason, retry delay and the like. How a program
// ended is no error of a call: it is RunCodeResponse.outcome.

#ifndef CLOISTER_CLIENT_CLIENT_H_
#define CLOISTER_CLIENT_CLIENT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cloister/client/sandbox.h"
#include "cloister/client/services.h"

namespace cloister::client {

struct ClientOptions {
  // As ResolveServerAddress (channel.h) takes it; empty: CLOISTER_SERVER, else the default.
  std::string address = {};
  // As ResolveToken (token.h) takes it; empty: CLOISTER_TOKEN or CLOISTER_TOKEN_FILE, else none.
  std::string token_file = {};
  // No single call takes longer; DEADLINE_EXCEEDED then. What a program may take is up to its limits.
  absl::Duration timeout = absl::Minutes(10);
};

// Thread-safety: safe; calls block their thread only. Ownership: sandboxes may outlive it.
class Client {
 public:
  // Does not wait for the server: an absent one shows at the first call (UNAVAILABLE).
  // Errors: INVALID_ARGUMENT for an address or a token that is none.
  static absl::StatusOr<Client> Connect(const ClientOptions& options = {});

  // Runs a program to its end in a fresh sandbox, or where `interpreter` says. Not repeated where the
  // connection breaks: set request_id, and call it again.
  absl::StatusOr<v1::RunCodeResponse> Run(const v1::RunCodeRequest& request) const;
  absl::StatusOr<v1::RunCodeResponse> Run(absl::string_view code) const;

  absl::StatusOr<Sandbox> CreateSandbox(const v1::CreateSandboxRequest& request = {}) const;
  // One that is there already; it is not deleted with the object.
  Sandbox UseSandbox(const std::string& name) const;

  absl::StatusOr<v1::GetInfoResponse> GetInfo() const;

  // The stubs, for every other call.
  const Services& services() const { return *services_; }

 private:
  explicit Client(std::shared_ptr<const Services> services) : services_(std::move(services)) {}

  std::shared_ptr<const Services> services_;
};

}  // namespace cloister::client

#endif  // CLOISTER_CLIENT_CLIENT_H_
