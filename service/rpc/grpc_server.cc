#include "service/rpc/grpc_server.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/resource_quota.h"
#include "grpcpp/server_posix.h"
#include "service/rpc/execution_service.h"
#include "service/rpc/file_service.h"
#include "service/rpc/info_service.h"
#include "service/rpc/interpreter_service.h"
#include "service/rpc/message_service.h"
#include "service/rpc/sandbox_service.h"

namespace cloister::rpc {
namespace {

constexpr int kMaximumStreamsPerConnection = 1000;
constexpr int kMaximumMetadataBytes = 16 << 10;
// Of requests being received and replies being sent, over all connections; past it gRPC resets
// streams.
constexpr size_t kTransportMemoryBytes = size_t{512} << 20;
constexpr int kMaximumThreads = 8;
constexpr int kKeepAliveMilliseconds = 60'000;
constexpr int kKeepAliveTimeoutMilliseconds = 20'000;
constexpr int kFastestClientPingMilliseconds = 10'000;

void SetBounds(grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(kMaximumMessageBytes);
  builder->SetMaxSendMessageSize(kMaximumMessageBytes);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaximumStreamsPerConnection);
  builder->AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaximumMetadataBytes);
  // A client that vanished without a word is noticed, and its program stopped.
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepAliveMilliseconds);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepAliveTimeoutMilliseconds);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                              kFastestClientPingMilliseconds);
  // Otherwise a second server on the same port would silently take half of the connections.
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  grpc::ResourceQuota quota("cloister");
  quota.Resize(kTransportMemoryBytes);
  // Each open stream of reflection holds one of gRPC's own threads, whoever opened it.
  quota.SetMaxThreads(kMaximumThreads);
  builder->SetResourceQuota(quota);
}

// Only reflection is served by gRPC's own threads; one is enough.
void SetThreads(grpc::ServerBuilder* builder) {
  using Option = grpc::ServerBuilder::SyncServerOption;
  builder->SetSyncServerOption(Option::NUM_CQS, 1);
  builder->SetSyncServerOption(Option::MIN_POLLERS, 1);
  builder->SetSyncServerOption(Option::MAX_POLLERS, 1);
}

}  // namespace

struct GrpcServer::Parts {
  explicit Parts(Gate* gate)
      : execution_service(gate),
        sandbox_service(gate),
        interpreter_service(gate),
        file_service(gate),
        message_service(gate),
        info_service(gate) {}

  ExecutionService execution_service;
  SandboxService sandbox_service;
  InterpreterService interpreter_service;
  FileService file_service;
  MessageService message_service;
  InfoService info_service;
  std::vector<int> ports;
  std::unique_ptr<grpc::Server> server;
};

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(Gate* gate,
                                                              const GrpcServerOptions& options) {
  // Never undone: the library's own end joins threads that may be in a poll of ten seconds.
  grpc_init();
  grpc::EnableDefaultHealthCheckService(true);
  // For every server made from now on; there is one in a process.
  if (options.reflection) grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  auto parts = std::make_unique<Parts>(gate);
  grpc::ServerBuilder builder;
  SetBounds(&builder);
  SetThreads(&builder);
  builder.RegisterService(&parts->execution_service);
  builder.RegisterService(&parts->sandbox_service);
  builder.RegisterService(&parts->interpreter_service);
  builder.RegisterService(&parts->file_service);
  builder.RegisterService(&parts->message_service);
  builder.RegisterService(&parts->info_service);
  parts->ports.resize(options.listen.size(), -1);
  for (size_t i = 0; i < options.listen.size(); ++i) {
    builder.AddListeningPort(options.listen[i], grpc::InsecureServerCredentials(),
                             &parts->ports[i]);
  }
  parts->server = builder.BuildAndStart();
  for (size_t i = 0; i < options.listen.size(); ++i) {
    if (parts->ports[i] > 0) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("cannot listen on ", options.listen[i],
                     ": the address is in use, or may not be used by this user"));
  }
  if (parts->server == nullptr) return absl::FailedPreconditionError("gRPC does not start");
  auto server = std::unique_ptr<GrpcServer>(new GrpcServer(std::move(parts)));
  server->SetServing(false);
  return server;
}

GrpcServer::GrpcServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

GrpcServer::~GrpcServer() { parts_->server->Shutdown(std::chrono::system_clock::now()); }

void GrpcServer::AdoptConnection(sandbox::UniqueFd connection) {
  grpc::AddInsecureChannelFromFd(parts_->server.get(), connection.release());
}

void GrpcServer::SetServing(bool serving) {
  grpc::HealthCheckServiceInterface* health = parts_->server->GetHealthCheckService();
  health->SetServingStatus("", serving);
  health->SetServingStatus(v1::ExecutionService::service_full_name(), serving);
  health->SetServingStatus(v1::SandboxService::service_full_name(), serving);
  health->SetServingStatus(v1::InterpreterService::service_full_name(), serving);
  health->SetServingStatus(v1::FileService::service_full_name(), serving);
  health->SetServingStatus(v1::MessageService::service_full_name(), serving);
}

void GrpcServer::Shutdown(absl::Duration grace) {
  parts_->server->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMicroseconds(grace));
}

const std::vector<int>& GrpcServer::ports() const { return parts_->ports; }

}  // namespace cloister::rpc
