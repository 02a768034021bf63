// cloister.v1.FileService on gRPC's callback API: hands each call to a reactor of its own.

#ifndef CLOISTER_SERVICE_RPC_FILE_SERVICE_H_
#define CLOISTER_SERVICE_RPC_FILE_SERVICE_H_

#include "cloister/v1/file_service.grpc.pb.h"
#include "service/rpc/gate.h"

namespace cloister::rpc {

// Thread-safety: safe. Ownership: `gate` must outlive it.
class FileService final : public v1::FileService::CallbackService {
 public:
  explicit FileService(Gate* gate) : gate_(*gate) {}

  // In file_streams.cc.
  grpc::ServerReadReactor<v1::WriteFileRequest>* WriteFile(
      grpc::CallbackServerContext* context, v1::WriteFileResponse* response) override;
  grpc::ServerWriteReactor<v1::ReadFileResponse>* ReadFile(
      grpc::CallbackServerContext* context, const v1::ReadFileRequest* request) override;

  grpc::ServerUnaryReactor* StatFile(grpc::CallbackServerContext* context,
                                     const v1::StatFileRequest* request,
                                     v1::StatFileResponse* response) override;
  grpc::ServerUnaryReactor* ListFiles(grpc::CallbackServerContext* context,
                                      const v1::ListFilesRequest* request,
                                      v1::ListFilesResponse* response) override;
  grpc::ServerUnaryReactor* RemoveFile(grpc::CallbackServerContext* context,
                                       const v1::RemoveFileRequest* request,
                                       v1::RemoveFileResponse* response) override;
  grpc::ServerUnaryReactor* MakeDirectory(grpc::CallbackServerContext* context,
                                          const v1::MakeDirectoryRequest* request,
                                          v1::MakeDirectoryResponse* response) override;

 private:
  Gate& gate_;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_FILE_SERVICE_H_
