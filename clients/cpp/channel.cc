#include "cloister/client/channel.h"

#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/support/client_interceptor.h"

namespace cloister::client {
namespace {

constexpr int kMaximumMessageBytes = 80 << 20;

bool IsHostAndPort(absl::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos || colon == 0) return false;
  const absl::string_view host = address.substr(0, colon);
  const bool bracketed = host.front() == '[' && host.back() == ']';
  if (!bracketed && absl::StrContains(host, ':')) return false;
  if (absl::StrContains(host, '/')) return false;
  uint32_t port = 0;
  return absl::SimpleAtoi(address.substr(colon + 1), &port) && port >= 1 && port <= 65535;
}

// Adds the token to each call. Call credentials of gRPC's would do so as well, but not without TLS.
class TokenSender final : public grpc::experimental::Interceptor {
 public:
  explicit TokenSender(const std::string& authorization) : authorization_(authorization) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    using Point = grpc::experimental::InterceptionHookPoints;
    if (methods->QueryInterceptionHookPoint(Point::PRE_SEND_INITIAL_METADATA)) {
      methods->GetSendInitialMetadata()->insert({"authorization", authorization_});
    }
    methods->Proceed();
  }

 private:
  const std::string& authorization_;
};

class TokenSenderFactory final : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit TokenSenderFactory(const std::string& token)
      : authorization_(absl::StrCat("Bearer ", token)) {}

  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* /*info*/) override {
    return new TokenSender(authorization_);
  }

 private:
  const std::string authorization_;
};

}  // namespace

absl::StatusOr<std::string> ResolveServerAddress(const std::string& given) {
  std::string address = given;
  const char* source = "--server";
  if (address.empty()) {
    if (const char* variable = std::getenv("CLOISTER_SERVER")) address = variable;
    source = "CLOISTER_SERVER";
  }
  if (address.empty()) return std::string(kDefaultServerAddress);
  if (address.front() == '/') return absl::StrCat("unix:", address);
  if (absl::StartsWith(address, "unix:") && address.size() > 5) return address;
  if (IsHostAndPort(address)) return address;
  return absl::InvalidArgumentError(
      absl::StrCat(source, " \"", address, "\" is no address; write unix:/path or host:port"));
}

std::shared_ptr<grpc::Channel> CreateChannel(const std::string& address, const std::string& token) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaximumMessageBytes);
  arguments.SetMaxSendMessageSize(kMaximumMessageBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Re-attachment has a back-off of its own; the channel's must not be the longer one.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // The minimum stays as it is: it is also how long one attempt may take, and a busy server is slow to
  // greet.
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  std::vector<std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  if (!token.empty()) interceptors.push_back(std::make_unique<TokenSenderFactory>(token));
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      address, grpc::InsecureChannelCredentials(), arguments, std::move(interceptors));
}

}  // namespace cloister::client
