#include "service/rpc/execution_service.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "sandbox/base/status_macros.h"
#include "service/rpc/deadline.h"
#include "service/rpc/execution_requests.h"
#include "service/rpc/map_code_call.h"
#include "service/rpc/run_code_call.h"
#include "service/rpc/stream_call.h"
#include "service/rpc/unary_call.h"

namespace cloister::rpc {
namespace {

class ExecuteCall final : public StreamCall<v1::ExecuteResponse> {
 public:
  ExecuteCall(Admission admission, grpc::CallbackServerContext* context,
              const v1::ExecuteRequest* request)
      : StreamCall(std::move(admission)),
        context_(context),
        request_(const_cast<v1::ExecuteRequest*>(request)) {}  // as in RunCodeCall

 private:
  absl::Status Prepare() override {
    CLOISTER_ASSIGN_OR_RETURN(execution_request_, TakeRequest(backend(), request_));
    return absl::OkStatus();
  }

  void Begin(EventPump* pump) override {
    execution_request_.deadline = LoopDeadline(*backend().loop, context_->deadline());
    auto execution = backend().executions->Start(std::move(execution_request_));
    if (!execution.ok()) return pump->Fail(execution.status());
    auto subscription = (*execution)->Subscribe(pump, core::ReaderRole::kOwner);
    if (!subscription.ok()) return pump->Fail(subscription.status());
    pump->Start(*std::move(subscription));
  }

  grpc::CallbackServerContext* const context_;
  v1::ExecuteRequest* const request_;
  core::ExecutionRequest execution_request_;
};

class AttachCall final : public StreamCall<v1::AttachExecutionResponse> {
 public:
  AttachCall(Admission admission, const v1::AttachExecutionRequest* request)
      : StreamCall(std::move(admission)), request_(request) {}

 private:
  absl::Status Prepare() override { return backend().validator->Check(*request_); }

  void Begin(EventPump* pump) override {
    auto subscription =
        backend().executions->Attach(request_->execution(), request_->after_sequence(), pump);
    if (!subscription.ok()) return pump->Fail(subscription.status());
    pump->Start(*std::move(subscription));
  }

  const v1::AttachExecutionRequest* const request_;
};

class InterruptCall final : public UnaryCall {
 public:
  InterruptCall(Admission admission, const v1::InterruptExecutionRequest* request,
                v1::InterruptExecutionResponse* response)
      : UnaryCall(std::move(admission)), request_(request), response_(response) {}

 private:
  absl::Status Prepare() override {
    CLOISTER_ASSIGN_OR_RETURN(grace_, backend().validator->Check(*request_));
    return absl::OkStatus();
  }

  void Begin() override {
    std::string name = request_->execution();
    if (name.empty()) {
      auto current = backend().sandboxes->CurrentExecution(request_->interpreter());
      // Nothing runs there: nothing to interrupt, and no outcome.
      if (!current.ok() || current->empty()) return Complete(current.status());
      name = *std::move(current);
    }
    auto execution = backend().executions->Find(name);
    if (!execution.ok()) return Complete(execution.status());
    // The caller may go before the end; the interrupt goes on.
    auto self = std::static_pointer_cast<InterruptCall>(shared_from_this());
    const absl::Status asked =
        (*execution)->Interrupt(grace_, [self](const core::ExecutionResult& result) {
          if (self->completed()) return;
          if (result.status.ok()) *self->response_->mutable_outcome() = result.outcome;
          self->Complete(result.status);
        });
    if (!asked.ok()) Complete(asked);
  }

  const v1::InterruptExecutionRequest* const request_;
  v1::InterruptExecutionResponse* const response_;
  absl::Duration grace_;
};

class SendInputCall final : public UnaryCall {
 public:
  SendInputCall(Admission admission, const v1::SendInputRequest* request)
      : UnaryCall(std::move(admission)), request_(request) {}

 private:
  absl::Status Prepare() override { return backend().validator->Check(*request_); }

  void Begin() override {
    auto execution = backend().executions->Find(request_->execution());
    if (!execution.ok()) return Complete(execution.status());
    std::optional<std::string> text;
    if (request_->has_text()) text = request_->text();
    Complete((*execution)->SendInput(request_->request_number(), std::move(text)));
  }

  const v1::SendInputRequest* const request_;
};

}  // namespace

grpc::ServerUnaryReactor* ExecutionService::RunCode(grpc::CallbackServerContext* context,
                                                    const v1::RunCodeRequest* request,
                                                    v1::RunCodeResponse* response) {
  return Serve<RunCodeCall>(gate_.Admit(*context, core::CallMethod::kRunCode, request, response),
                            context, request, response);
}

grpc::ServerUnaryReactor* ExecutionService::CallFunction(grpc::CallbackServerContext* context,
                                                         const v1::CallFunctionRequest* request,
                                                         v1::CallFunctionResponse* response) {
  return Serve<CallFunctionCall>(
      gate_.Admit(*context, core::CallMethod::kCallFunction, request, response), context, request,
      response);
}

grpc::ServerWriteReactor<v1::MapCodeResponse>* ExecutionService::MapCode(
    grpc::CallbackServerContext* context, const v1::MapCodeRequest* request) {
  return Serve<MapCodeCall>(gate_.Admit(*context, core::CallMethod::kMapCode), context, request);
}

grpc::ServerWriteReactor<v1::ExecuteResponse>* ExecutionService::Execute(
    grpc::CallbackServerContext* context, const v1::ExecuteRequest* request) {
  return Serve<ExecuteCall>(gate_.Admit(*context, core::CallMethod::kExecute, request), context,
                            request);
}

grpc::ServerWriteReactor<v1::AttachExecutionResponse>* ExecutionService::AttachExecution(
    grpc::CallbackServerContext* context, const v1::AttachExecutionRequest* request) {
  return Serve<AttachCall>(gate_.Admit(*context, core::CallMethod::kAttachExecution, request),
                           request);
}

grpc::ServerUnaryReactor* ExecutionService::InterruptExecution(
    grpc::CallbackServerContext* context, const v1::InterruptExecutionRequest* request,
    v1::InterruptExecutionResponse* response) {
  return Serve<InterruptCall>(gate_.Admit(*context, core::CallMethod::kInterruptExecution, request),
                              request, response);
}

grpc::ServerUnaryReactor* ExecutionService::SendInput(grpc::CallbackServerContext* context,
                                                      const v1::SendInputRequest* request,
                                                      v1::SendInputResponse* /*response*/) {
  return Serve<SendInputCall>(gate_.Admit(*context, core::CallMethod::kSendInput, request),
                              request);
}

}  // namespace cloister::rpc
