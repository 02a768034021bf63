#include "service/rpc/message_service.h"

#include <memory>
#include <utility>

#include "sandbox/base/status_macros.h"
#include "service/rpc/connect_call.h"
#include "service/rpc/message_requests.h"
#include "service/rpc/unary_call.h"

namespace cloister::rpc {
namespace {

class PostMessageCall final : public UnaryCall {
 public:
  PostMessageCall(Admission admission, const v1::PostMessageRequest* request)
      : UnaryCall(std::move(admission)), request_(request) {}

 private:
  absl::Status Prepare() override {
    CLOISTER_ASSIGN_OR_RETURN(message_, TakePost(*request_, backend().message_memory));
    return absl::OkStatus();
  }
  void Begin() override {
    Complete(backend().messages->Post(request_->interpreter(), std::move(message_.clone),
                                      std::move(message_.memory)));
  }

  const v1::PostMessageRequest* const request_;
  TakenMessage message_;
};

}  // namespace

grpc::ServerUnaryReactor* MessageService::PostMessage(grpc::CallbackServerContext* context,
                                                      const v1::PostMessageRequest* request,
                                                      v1::PostMessageResponse* /*response*/) {
  return Serve<PostMessageCall>(gate_.Admit(*context, core::CallMethod::kPostMessage, request),
                                request);
}

grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse>* MessageService::Connect(
    grpc::CallbackServerContext* context) {
  return Serve<ConnectCall>(gate_.Admit(*context, core::CallMethod::kConnect), context);
}

}  // namespace cloister::rpc
