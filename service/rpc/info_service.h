// cloister.v1.InfoService: asks the loop what the server is and how it is.

#ifndef CLOISTER_SERVICE_RPC_INFO_SERVICE_H_
#define CLOISTER_SERVICE_RPC_INFO_SERVICE_H_

#include "cloister/v1/info_service.grpc.pb.h"
#include "service/rpc/gate.h"

namespace cloister::rpc {

// Ownership: `gate` must outlive it. Thread-safety: safe.
class InfoService final : public v1::InfoService::CallbackService {
 public:
  explicit InfoService(Gate* gate) : gate_(*gate) {}

  grpc::ServerUnaryReactor* GetInfo(grpc::CallbackServerContext* context,
                                    const v1::GetInfoRequest* request,
                                    v1::GetInfoResponse* response) override;

 private:
  Gate& gate_;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_INFO_SERVICE_H_
