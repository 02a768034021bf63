// RunCode: waits for the end of one execution and returns it whole.

#ifndef CLOISTER_SERVICE_RPC_RUN_CODE_CALL_H_
#define CLOISTER_SERVICE_RPC_RUN_CODE_CALL_H_

#include <memory>

#include "absl/status/status.h"
#include "cloister/v1/execution_service.pb.h"
#include "service/core/execution.h"
#include "service/rpc/unary_call.h"

namespace cloister::rpc {

class RunCodeCall final : public UnaryCall, private core::ExecutionListener {
 public:
  RunCodeCall(const Backend& backend, grpc::CallbackServerContext* context,
              const v1::RunCodeRequest* request, v1::RunCodeResponse* response);

 private:
  absl::Status Prepare() override;
  void Begin() override;
  void Abandon() override { subscription_.reset(); }
  void OnProgress() override;

  grpc::CallbackServerContext* const context_;
  v1::RunCodeRequest* const request_;
  v1::RunCodeResponse* const response_;
  core::ExecutionRequest execution_request_;
  std::unique_ptr<core::Subscription> subscription_;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_RUN_CODE_CALL_H_
