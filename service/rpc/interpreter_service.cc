#include "service/rpc/interpreter_service.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "grpcpp/server_context.h"
#include "service/core/turn_source.h"
#include "service/rpc/deadline.h"
#include "service/rpc/request_validator.h"
#include "service/rpc/unary_call.h"
#include "service/rpc/violations.h"

namespace cloister::rpc {
namespace {

// Of UTF-8, which protobuf has checked.
int64_t CharacterCount(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

template <typename Request>
void CheckQuestion(const Request& request, const RequestBounds& bounds, Violations* violations) {
  CheckName(request.interpreter(), "interpreter", violations);
  if (static_cast<int64_t>(request.code().size()) > bounds.code_bytes) {
    violations->Add("code", absl::StrCat("must have at most ", bounds.code_bytes, " bytes"));
  }
}

template <typename Request>
void CheckCursor(const Request& request, Violations* violations) {
  const int64_t count = CharacterCount(request.code());
  if (request.cursor() < 0 || request.cursor() > count) {
    violations->Add("cursor", absl::StrCat("must be from 0 to ", count,
                                           ", the number of characters in `code`"));
  }
}

// One question. `Response` is the answer that fits `Request`.
template <typename Request, typename Response>
class QuestionCall final : public UnaryCall {
 public:
  QuestionCall(Admission admission, grpc::CallbackServerContext* context, const Request* request,
               Response* response)
      : UnaryCall(std::move(admission)),
        context_(context),
        request_(request),
        response_(response) {}

 private:
  absl::Status Prepare() override {
    Violations violations;
    CheckQuestion(*request_, backend().validator->bounds(), &violations);
    if constexpr (requires { request_->cursor(); }) CheckCursor(*request_, &violations);
    return violations.ToStatus();
  }

  void Begin() override {
    auto source = backend().sandboxes->FindInterpreter(request_->interpreter());
    if (!source.ok()) return Complete(source.status());
    source_ = *std::move(source);
    auto self = std::static_pointer_cast<QuestionCall>(shared_from_this());
    auto ticket = source_->Ask(
        *request_, LoopDeadline(*backend().loop, context_->deadline()),
        [self](absl::StatusOr<sandbox::NotebookAnswer> answer) {
          if (self->completed()) return;
          if (answer.ok()) *self->response_ = std::get<Response>(*std::move(answer));
          self->Complete(answer.status());
        });
    if (!ticket.ok()) return Complete(ticket.status());
    ticket_ = *ticket;
  }

  void Abandon() override {
    if (source_ != nullptr) source_->AbandonTurn(ticket_);
  }

  grpc::CallbackServerContext* const context_;
  const Request* const request_;
  Response* const response_;
  std::shared_ptr<core::TurnSource> source_;
  core::TurnSource::Ticket ticket_ = 0;
};

}  // namespace

grpc::ServerUnaryReactor* InterpreterService::Complete(grpc::CallbackServerContext* context,
                                                       const v1::CompleteRequest* request,
                                                       v1::CompleteResponse* response) {
  using Call = QuestionCall<v1::CompleteRequest, v1::CompleteResponse>;
  return Serve<Call>(gate_.Admit(*context, core::CallMethod::kComplete, request), context, request,
                     response);
}

grpc::ServerUnaryReactor* InterpreterService::Inspect(grpc::CallbackServerContext* context,
                                                      const v1::InspectRequest* request,
                                                      v1::InspectResponse* response) {
  using Call = QuestionCall<v1::InspectRequest, v1::InspectResponse>;
  return Serve<Call>(gate_.Admit(*context, core::CallMethod::kInspect, request), context, request,
                     response);
}

grpc::ServerUnaryReactor* InterpreterService::CheckComplete(
    grpc::CallbackServerContext* context, const v1::CheckCompleteRequest* request,
    v1::CheckCompleteResponse* response) {
  using Call = QuestionCall<v1::CheckCompleteRequest, v1::CheckCompleteResponse>;
  return Serve<Call>(gate_.Admit(*context, core::CallMethod::kCheckComplete, request), context,
                     request, response);
}

}  // namespace cloister::rpc
