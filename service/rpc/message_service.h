// cloister.v1.MessageService on gRPC's callback API: hands each call to a reactor of its own.

#ifndef CLOISTER_SERVICE_RPC_MESSAGE_SERVICE_H_
#define CLOISTER_SERVICE_RPC_MESSAGE_SERVICE_H_

#include "cloister/v1/message_service.grpc.pb.h"
#include "service/rpc/gate.h"

namespace cloister::rpc {

// Thread-safety: safe. Ownership: `gate` must outlive it.
class MessageService final : public v1::MessageService::CallbackService {
 public:
  explicit MessageService(Gate* gate) : gate_(*gate) {}

  grpc::ServerUnaryReactor* PostMessage(grpc::CallbackServerContext* context,
                                        const v1::PostMessageRequest* request,
                                        v1::PostMessageResponse* response) override;
  grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse>* Connect(
      grpc::CallbackServerContext* context) override;

 private:
  Gate& gate_;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_MESSAGE_SERVICE_H_
