// The stubs of all services over one channel, and how long a call may take.

#ifndef CLOISTER_CLIENT_SERVICES_H_
#define CLOISTER_CLIENT_SERVICES_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cloister/client/service_error.h"
#include "cloister/v1/execution_service.grpc.pb.h"
#include "cloister/v1/file_service.grpc.pb.h"
#include "cloister/v1/info_service.grpc.pb.h"
#include "cloister/v1/interpreter_service.grpc.pb.h"
#include "cloister/v1/message_service.grpc.pb.h"
#include "cloister/v1/sandbox_service.grpc.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"

namespace cloister::client {

// Thread-safety: safe, as stubs are.
struct Services {
  Services(std::shared_ptr<grpc::Channel> channel, absl::Duration call_timeout)
      : timeout(call_timeout),
        executions(v1::ExecutionService::NewStub(channel)),
        sandboxes(v1::SandboxService::NewStub(channel)),
        interpreters(v1::InterpreterService::NewStub(channel)),
        files(v1::FileService::NewStub(channel)),
        messages(v1::MessageService::NewStub(channel)),
        info(v1::InfoService::NewStub(channel)) {}

  // One unary call with the deadline: services.Call(*services.info, &v1::InfoService::Stub::GetInfo, request).
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(Stub& stub,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                const Request& request, absl::Duration within) const {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + within));
    Response response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    if (!status.ok()) return ToStatus(status);
    return response;
  }
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(Stub& stub,
                                grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                const Request& request) const {
    return Call(stub, method, request, timeout);
  }

  const absl::Duration timeout;
  const std::unique_ptr<v1::ExecutionService::Stub> executions;
  const std::unique_ptr<v1::SandboxService::Stub> sandboxes;
  const std::unique_ptr<v1::InterpreterService::Stub> interpreters;
  const std::unique_ptr<v1::FileService::Stub> files;
  const std::unique_ptr<v1::MessageService::Stub> messages;
  const std::unique_ptr<v1::InfoService::Stub> info;
};

}  // namespace cloister::client

#endif  // CLOISTER_CLIENT_SERVICES_H_
