// cloister.v1.SandboxService on gRPC's callback API: hands each call to a reactor of its own.

#ifndef CLOISTER_SERVICE_RPC_SANDBOX_SERVICE_H_
#define CLOISTER_SERVICE_RPC_SANDBOX_SERVICE_H_

#include "cloister/v1/sandbox_service.grpc.pb.h"
#include "service/rpc/gate.h"

namespace cloister::rpc {

// Ownership: `gate` must outlive it. Thread-safety: safe.
class SandboxService final : public v1::SandboxService::CallbackService {
 public:
  explicit SandboxService(Gate* gate) : gate_(*gate) {}

  grpc::ServerUnaryReactor* CreateSandbox(grpc::CallbackServerContext* context,
                                          const v1::CreateSandboxRequest* request,
                                          v1::CreateSandboxResponse* response) override;
  grpc::ServerUnaryReactor* GetSandbox(grpc::CallbackServerContext* context,
                                       const v1::GetSandboxRequest* request,
                                       v1::GetSandboxResponse* response) override;
  grpc::ServerUnaryReactor* ListSandboxes(grpc::CallbackServerContext* context,
                                          const v1::ListSandboxesRequest* request,
                                          v1::ListSandboxesResponse* response) override;
  grpc::ServerUnaryReactor* UpdateSandbox(grpc::CallbackServerContext* context,
                                          const v1::UpdateSandboxRequest* request,
                                          v1::UpdateSandboxResponse* response) override;
  grpc::ServerUnaryReactor* DeleteSandbox(grpc::CallbackServerContext* context,
                                          const v1::DeleteSandboxRequest* request,
                                          v1::DeleteSandboxResponse* response) override;
  grpc::ServerUnaryReactor* RestartSandbox(grpc::CallbackServerContext* context,
                                           const v1::RestartSandboxRequest* request,
                                           v1::RestartSandboxResponse* response) override;
  // In fork_calls.cc.
  grpc::ServerUnaryReactor* ForkSandbox(grpc::CallbackServerContext* context,
                                        const v1::ForkSandboxRequest* request,
                                        v1::ForkSandboxResponse* response) override;
  grpc::ServerUnaryReactor* CreateSnapshot(grpc::CallbackServerContext* context,
                                           const v1::CreateSnapshotRequest* request,
                                           v1::CreateSnapshotResponse* response) override;
  grpc::ServerUnaryReactor* GetSnapshot(grpc::CallbackServerContext* context,
                                        const v1::GetSnapshotRequest* request,
                                        v1::GetSnapshotResponse* response) override;
  grpc::ServerUnaryReactor* ListSnapshots(grpc::CallbackServerContext* context,
                                          const v1::ListSnapshotsRequest* request,
                                          v1::ListSnapshotsResponse* response) override;
  grpc::ServerUnaryReactor* DeleteSnapshot(grpc::CallbackServerContext* context,
                                           const v1::DeleteSnapshotRequest* request,
                                           v1::DeleteSnapshotResponse* response) override;

 private:
  Gate& gate_;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_SANDBOX_SERVICE_H_
