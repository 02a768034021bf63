#include "clients/cli/bench/echo_server.h"

#include <unistd.h>

#include <cstdio>
#include <memory>

#include "clients/cli/commands/exit_code.h"
#include "cloister/internal/v1/echo.grpc.pb.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"

namespace cloister::cli::bench {
namespace {

// One message at a time, to and fro.
class StreamReactor final
    : public grpc::ServerBidiReactor<internal::v1::EchoRequest, internal::v1::EchoResponse> {
 public:
  StreamReactor() { StartRead(&request_); }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    response_.set_payload(request_.payload());
    StartWrite(&response_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    StartRead(&request_);
  }
  void OnDone() override { delete this; }

  internal::v1::EchoRequest request_;
  internal::v1::EchoResponse response_;
};

class EchoService final : public internal::v1::EchoService::CallbackService {
  grpc::ServerUnaryReactor* Echo(grpc::CallbackServerContext* context,
                                 const internal::v1::EchoRequest* request,
                                 internal::v1::EchoResponse* response) override {
    response->set_payload(request->payload());
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerBidiReactor<internal::v1::EchoRequest, internal::v1::EchoResponse>* EchoStream(
      grpc::CallbackServerContext* /*context*/) override {
    return new StreamReactor();
  }
};

}  // namespace

int RunEchoServer(const std::string& address) {
  EchoService service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) {
    std::fprintf(stderr, "cloister: cannot listen on %s\n", address.c_str());
    return kExitUnavailable;
  }
  std::puts("ready");
  std::fflush(stdout);
  char ignored = 0;
  while (::read(STDIN_FILENO, &ignored, 1) > 0) {
  }
  server->Shutdown();
  return kExitOk;
}

}  // namespace cloister::cli::bench
