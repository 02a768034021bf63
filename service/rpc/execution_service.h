// cloister.v1.ExecutionService on gRPC's callback API: hands each call to a reactor of its own.

#ifndef CLOISTER_SERVICE_RPC_EXECUTION_SERVICE_H_
#define CLOISTER_SERVICE_RPC_EXECUTION_SERVICE_H_

#include "cloister/v1/execution_service.grpc.pb.h"
#include "service/rpc/gate.h"

namespace cloister::rpc {

// Ownership: `gate` must outlive it. Thread-safety: safe.
class ExecutionService final : public v1::ExecutionService::CallbackService {
 public:
  explicit ExecutionService(Gate* gate) : gate_(*gate) {}

  grpc::ServerUnaryReactor* RunCode(grpc::CallbackServerContext* context,
                                    const v1::RunCodeRequest* request,
                                    v1::RunCodeResponse* response) override;
  grpc::ServerUnaryReactor* CallFunction(grpc::CallbackServerContext* context,
                                         const v1::CallFunctionRequest* request,
                                         v1::CallFunctionResponse* response) override;
  grpc::ServerWriteReactor<v1::MapCodeResponse>* MapCode(
      grpc::CallbackServerContext* context, const v1::MapCodeRequest* request) override;
  grpc::ServerWriteReactor<v1::ExecuteResponse>* Execute(
      grpc::CallbackServerContext* context, const v1::ExecuteRequest* request) override;
  grpc::ServerWriteReactor<v1::AttachExecutionResponse>* AttachExecution(
      grpc::CallbackServerContext* context, const v1::AttachExecutionRequest* request) override;
  grpc::ServerUnaryReactor* InterruptExecution(grpc::CallbackServerContext* context,
                                               const v1::InterruptExecutionRequest* request,
                                               v1::InterruptExecutionResponse* response) override;
  grpc::ServerUnaryReactor* SendInput(grpc::CallbackServerContext* context,
                                      const v1::SendInputRequest* request,
                                      v1::SendInputResponse* response) override;

 private:
  Gate& gate_;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_EXECUTION_SERVICE_H_
