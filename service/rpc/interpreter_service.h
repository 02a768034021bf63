// InterpreterService over the core: validates, translates, never decides.

#ifndef CLOISTER_SERVICE_RPC_INTERPRETER_SERVICE_H_
#define CLOISTER_SERVICE_RPC_INTERPRETER_SERVICE_H_

#include "cloister/v1/interpreter_service.grpc.pb.h"
#include "service/rpc/gate.h"

namespace cloister::rpc {

// Thread-safety: safe. Ownership: `gate` must outlive it.
class InterpreterService final : public v1::InterpreterService::CallbackService {
 public:
  explicit InterpreterService(Gate* gate) : gate_(*gate) {}

  grpc::ServerUnaryReactor* CreateInterpreter(grpc::CallbackServerContext* context,
                                              const v1::CreateInterpreterRequest* request,
                                              v1::CreateInterpreterResponse* response) override;
  grpc::ServerUnaryReactor* GetInterpreter(grpc::CallbackServerContext* context,
                                           const v1::GetInterpreterRequest* request,
                                           v1::GetInterpreterResponse* response) override;
  grpc::ServerUnaryReactor* ListInterpreters(grpc::CallbackServerContext* context,
                                             const v1::ListInterpretersRequest* request,
                                             v1::ListInterpretersResponse* response) override;
  grpc::ServerUnaryReactor* RestartInterpreter(grpc::CallbackServerContext* context,
                                               const v1::RestartInterpreterRequest* request,
                                               v1::RestartInterpreterResponse* response) override;
  grpc::ServerUnaryReactor* DeleteInterpreter(grpc::CallbackServerContext* context,
                                              const v1::DeleteInterpreterRequest* request,
                                              v1::DeleteInterpreterResponse* response) override;
  grpc::ServerUnaryReactor* Complete(grpc::CallbackServerContext* context,
                                     const v1::CompleteRequest* request,
                                     v1::CompleteResponse* response) override;
  grpc::ServerUnaryReactor* Inspect(grpc::CallbackServerContext* context,
                                    const v1::InspectRequest* request,
                                    v1::InspectResponse* response) override;
  grpc::ServerUnaryReactor* CheckComplete(grpc::CallbackServerContext* context,
                                          const v1::CheckCompleteRequest* request,
                                          v1::CheckCompleteResponse* response) override;

 private:
  Gate& gate_;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_INTERPRETER_SERVICE_H_
