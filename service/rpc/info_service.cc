#include "service/rpc/info_service.h"

#include <utility>

#include "service/rpc/unary_call.h"

namespace cloister::rpc {
namespace {

class GetInfoCall final : public UnaryCall {
 public:
  GetInfoCall(Admission admission, v1::GetInfoResponse* response)
      : UnaryCall(std::move(admission)), response_(response) {}

 private:
  void Begin() override {
    *response_ = backend().info();
    Complete(absl::OkStatus());
  }

  v1::GetInfoResponse* const response_;
};

}  // namespace

grpc::ServerUnaryReactor* InfoService::GetInfo(grpc::CallbackServerContext* context,
                                               const v1::GetInfoRequest* /*request*/,
                                               v1::GetInfoResponse* response) {
  return Serve<GetInfoCall>(gate_.Admit(*context, core::CallMethod::kGetInfo), response);
}

}  // namespace cloister::rpc
