#include "service/rpc/run_code_call.h"

#include <utility>

#include "grpcpp/server_context.h"
#include "sandbox/base/status_macros.h"
#include "service/core/limits_proto.h"
#include "service/rpc/deadline.h"
#include "service/rpc/execution_requests.h"

namespace cloister::rpc {

// gRPC made the request for this call alone and hands it out as const; it is taken apart rather
// than copied.
template <typename Request, typename Response>
WholeExecutionCall<Request, Response>::WholeExecutionCall(Admission admission,
                                                          grpc::CallbackServerContext* context,
                                                          const Request* request,
                                                          Response* response)
    : UnaryCall(std::move(admission)),
      context_(context),
      request_(const_cast<Request*>(request)),
      response_(response) {}

template <typename Request, typename Response>
absl::Status WholeExecutionCall<Request, Response>::Prepare() {
  CLOISTER_ASSIGN_OR_RETURN(execution_request_, TakeRequest(backend(), request_));
  return absl::OkStatus();
}

template <typename Request, typename Response>
void WholeExecutionCall<Request, Response>::Begin() {
  execution_request_.deadline = LoopDeadline(*backend().loop, context_->deadline());
  auto execution = backend().executions->Start(std::move(execution_request_));
  if (!execution.ok()) return Complete(execution.status());
  auto subscription = (*execution)->Subscribe(this, core::ReaderRole::kOwner);
  if (!subscription.ok()) return Complete(subscription.status());
  subscription_ = *std::move(subscription);
  OnProgress();
}

template <typename Request, typename Response>
void WholeExecutionCall<Request, Response>::OnProgress() {
  if (completed() || subscription_ == nullptr || !subscription_->execution().ended()) return;
  // Nothing of this object may be touched after Complete: gRPC may let go of it at once.
  const std::unique_ptr<core::Subscription> subscription = std::move(subscription_);
  const core::Execution& execution = subscription->execution();
  const core::ExecutionResult& result = execution.result();
  if (result.status.ok()) {
    response_->set_execution(execution.name());
    *response_->mutable_outcome() = result.outcome;
    response_->set_stdout(result.stdout_bytes);
    response_->set_stderr(result.stderr_bytes);
    *response_->mutable_files() = {result.files.begin(), result.files.end()};
    response_->set_start_kind(execution.start_kind());
    response_->set_execution_count(execution.execution_count());
    *response_->mutable_effective_limits() = core::ToProto(execution.limits());
  }
  Complete(result.status);
}

template class WholeExecutionCall<v1::RunCodeRequest, v1::RunCodeResponse>;
template class WholeExecutionCall<v1::CallFunctionRequest, v1::CallFunctionResponse>;

}  // namespace cloister::rpc
