// InterpreterService's calls that make, find and end interpreters.

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "grpcpp/server_context.h"
#include "sandbox/base/status_macros.h"
#include "service/rpc/deadline.h"
#include "service/rpc/interpreter_request_validator.h"
#include "service/rpc/interpreter_service.h"
#include "service/rpc/request_digest.h"
#include "service/rpc/unary_call.h"

namespace cloister::rpc {
namespace {

class CreateInterpreterCall final : public UnaryCall {
 public:
  CreateInterpreterCall(Admission admission, grpc::CallbackServerContext* context,
                        const v1::CreateInterpreterRequest* request,
                        v1::CreateInterpreterResponse* response)
      : UnaryCall(std::move(admission)),
        context_(context),
        request_(request),
        response_(response) {}

 private:
  absl::Status Prepare() override {
    CLOISTER_RETURN_IF_ERROR(CheckRequest(*request_, *backend().validator));
    TakeRequestId("CreateInterpreter", *request_, &wish_);
    wish_.sandbox = request_->sandbox();
    wish_.spec.id = request_->interpreter_id();
    wish_.spec.profile = request_->profile();
    wish_.spec.memory_bytes = request_->memory_limit_bytes();
    wish_.spec.imports = {request_->imports().begin(), request_->imports().end()};
    for (const auto& [name, value] : request_->environment()) {
      wish_.spec.environment.emplace_back(name, value);
    }
    return absl::OkStatus();
  }

  void Begin() override {
    can_be_asked_for_again_ = !wish_.request_id.empty();
    wish_.deadline = LoopDeadline(*backend().loop, context_->deadline());
    auto self = std::static_pointer_cast<CreateInterpreterCall>(shared_from_this());
    auto creation = backend().interpreters->Create(
        std::move(wish_), [self](absl::StatusOr<v1::Interpreter> interpreter) {
          if (self->completed()) return;
          if (interpreter.ok()) {
            if (!self->can_be_asked_for_again_) self->made_ = interpreter->name();
            *self->response_->mutable_interpreter() = *std::move(interpreter);
          }
          self->Complete(interpreter.status());
        });
    if (!creation.ok()) return Complete(creation.status());
    creation_ = *std::move(creation);
  }

  void Abandon() override { backend().interpreters->Abandon(creation_); }

  void TakeBack() override {
    if (made_.empty()) return;
    (void)backend().interpreters->Delete(made_, [](const std::vector<std::string>&) {});
  }

  grpc::CallbackServerContext* const context_;
  const v1::CreateInterpreterRequest* const request_;
  v1::CreateInterpreterResponse* const response_;
  core::CreateInterpreterRequest wish_;
  core::InterpreterManager::Creation creation_;
  bool can_be_asked_for_again_ = false;
  std::string made_;  // where it may be taken back
};

// Goes on where the caller has gone.
class RestartInterpreterCall final : public UnaryCall {
 public:
  RestartInterpreterCall(Admission admission, grpc::CallbackServerContext* context,
                         const v1::RestartInterpreterRequest* request,
                         v1::RestartInterpreterResponse* response)
      : UnaryCall(std::move(admission)),
        context_(context),
        request_(request),
        response_(response) {}

 private:
  absl::Status Prepare() override { return CheckNameAlone(request_->name(), "name"); }

  void Begin() override {
    auto self = std::static_pointer_cast<RestartInterpreterCall>(shared_from_this());
    const absl::Status started = backend().interpreters->Restart(
        request_->name(), LoopDeadline(*backend().loop, context_->deadline()),
        [self](absl::StatusOr<v1::Interpreter> interpreter) {
          if (self->completed()) return;
          if (interpreter.ok()) *self->response_->mutable_interpreter() = *std::move(interpreter);
          self->Complete(interpreter.status());
        });
    if (!started.ok()) Complete(started);
  }

  grpc::CallbackServerContext* const context_;
  const v1::RestartInterpreterRequest* const request_;
  v1::RestartInterpreterResponse* const response_;
};

// Goes on where the caller has gone.
class DeleteInterpreterCall final : public UnaryCall {
 public:
  DeleteInterpreterCall(Admission admission, const v1::DeleteInterpreterRequest* request,
                        v1::DeleteInterpreterResponse* response)
      : UnaryCall(std::move(admission)), request_(request), response_(response) {}

 private:
  absl::Status Prepare() override { return CheckNameAlone(request_->name(), "name"); }

  void Begin() override {
    auto self = std::static_pointer_cast<DeleteInterpreterCall>(shared_from_this());
    const absl::Status begun =
        backend().interpreters->Delete(request_->name(), [self](std::vector<std::string> lost) {
          if (self->completed()) return;
          for (std::string& name : lost) {
            self->response_->add_lost_interpreters(std::move(name));
          }
          self->Complete(absl::OkStatus());
        });
    if (!begun.ok()) Complete(begun);
  }

  const v1::DeleteInterpreterRequest* const request_;
  v1::DeleteInterpreterResponse* const response_;
};

// A call that holds a name, and is over when the loop has done one thing.
class LookUpCall final : public UnaryCall {
 public:
  LookUpCall(Admission admission, const std::string& name, std::string_view field,
             std::function<absl::Status(core::InterpreterManager&)> work)
      : UnaryCall(std::move(admission)), name_(name), field_(field), work_(std::move(work)) {}

 private:
  absl::Status Prepare() override { return CheckNameAlone(name_, field_); }
  void Begin() override { Complete(work_(*backend().interpreters)); }

  const std::string& name_;  // of the request
  const std::string_view field_;
  const std::function<absl::Status(core::InterpreterManager&)> work_;
};

}  // namespace

grpc::ServerUnaryReactor* InterpreterService::CreateInterpreter(
    grpc::CallbackServerContext* context, const v1::CreateInterpreterRequest* request,
    v1::CreateInterpreterResponse* response) {
  return Serve<CreateInterpreterCall>(
      gate_.Admit(*context, core::CallMethod::kCreateInterpreter, request, response), context,
      request, response);
}

grpc::ServerUnaryReactor* InterpreterService::GetInterpreter(
    grpc::CallbackServerContext* context, const v1::GetInterpreterRequest* request,
    v1::GetInterpreterResponse* response) {
  const auto work = [request, response](core::InterpreterManager& interpreters) -> absl::Status {
    CLOISTER_ASSIGN_OR_RETURN(*response->mutable_interpreter(), interpreters.Get(request->name()));
    return absl::OkStatus();
  };
  return Serve<LookUpCall>(gate_.Admit(*context, core::CallMethod::kGetInterpreter, request),
                           request->name(), "name", work);
}

grpc::ServerUnaryReactor* InterpreterService::ListInterpreters(
    grpc::CallbackServerContext* context, const v1::ListInterpretersRequest* request,
    v1::ListInterpretersResponse* response) {
  const auto work = [request, response](core::InterpreterManager& interpreters) -> absl::Status {
    CLOISTER_ASSIGN_OR_RETURN(auto list, interpreters.List(request->sandbox()));
    for (v1::Interpreter& interpreter : list) {
      *response->add_interpreters() = std::move(interpreter);
    }
    return absl::OkStatus();
  };
  return Serve<LookUpCall>(gate_.Admit(*context, core::CallMethod::kListInterpreters, request),
                           request->sandbox(), "sandbox", work);
}

grpc::ServerUnaryReactor* InterpreterService::RestartInterpreter(
    grpc::CallbackServerContext* context, const v1::RestartInterpreterRequest* request,
    v1::RestartInterpreterResponse* response) {
  return Serve<RestartInterpreterCall>(
      gate_.Admit(*context, core::CallMethod::kRestartInterpreter, request), context, request,
      response);
}

grpc::ServerUnaryReactor* InterpreterService::DeleteInterpreter(
    grpc::CallbackServerContext* context, const v1::DeleteInterpreterRequest* request,
    v1::DeleteInterpreterResponse* response) {
  return Serve<DeleteInterpreterCall>(
      gate_.Admit(*context, core::CallMethod::kDeleteInterpreter, request), request, response);
}

}  // namespace cloister::rpc
