#include "service/rpc/info_service.h"

#include <memory>

#include "service/rpc/unary_call.h"

namespace cloister::rpc {
namespace {

class GetInfoCall final : public UnaryCall {
 public:
  GetInfoCall(const Backend& backend, v1::GetInfoResponse* response)
      : UnaryCall(backend, core::CallMethod::kGetInfo), response_(response) {}

 private:
  void Begin() override {
    *response_ = backend().info();
    Complete(absl::OkStatus());
  }

  v1::GetInfoResponse* const response_;
};

}  // namespace

grpc::ServerUnaryReactor* InfoService::GetInfo(grpc::CallbackServerContext* /*context*/,
                                               const v1::GetInfoRequest* /*request*/,
                                               v1::GetInfoResponse* response) {
  return std::make_shared<GetInfoCall>(backend_, response)->Start();
}

}  // namespace cloister::rpc
