// RunCode and CallFunction: wait for the end of one execution and return it whole.

#ifndef CLOISTER_SERVICE_RPC_RUN_CODE_CALL_H_
#define CLOISTER_SERVICE_RPC_RUN_CODE_CALL_H_

#include <memory>

#include "absl/status/status.h"
#include "cloister/v1/execution_service.pb.h"
#include "service/core/execution.h"
#include "service/rpc/unary_call.h"

namespace cloister::rpc {

template <typename Request, typename Response>
class WholeExecutionCall final : public UnaryCall, private core::ExecutionListener {
 public:
  WholeExecutionCall(Admission admission, grpc::CallbackServerContext* context,
                     const Request* request, Response* response);

 private:
  absl::Status Prepare() override;
  void Begin() override;
  void Abandon() override { subscription_.reset(); }
  void OnProgress() override;

  grpc::CallbackServerContext* const context_;
  Request* const request_;
  Response* const response_;
  core::ExecutionRequest execution_request_;
  std::unique_ptr<core::Subscription> subscription_;
};

using RunCodeCall = WholeExecutionCall<v1::RunCodeRequest, v1::RunCodeResponse>;
using CallFunctionCall = WholeExecutionCall<v1::CallFunctionRequest, v1::CallFunctionResponse>;

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_RUN_CODE_CALL_H_
