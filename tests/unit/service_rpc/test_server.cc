#include "tests/unit/service_rpc/test_server.h"

#include <sys/socket.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/create_channel_posix.h"

namespace cloister::testing {
namespace {

rpc::LimitsPolicy Policy() {
  rpc::LimitsPolicy policy;
  policy.maximum = rpc::BuiltInMaximumLimits();
  return policy;
}

pool::PoolSetOptions OnePool() {
  pool::PoolOptions pool;
  pool.template_name = "python";
  pool.minimum_ready = 2;
  pool::PoolSetOptions options;
  options.pools.push_back(std::move(pool));
  return options;
}

}  // namespace

TestServer::TestServer(std::function<void(FakeSandbox&)> on_run, TestServerOptions options)
    : request_memory_(options.request_memory_bytes, &calls_),
      map_memory_(options.request_memory_bytes, &calls_),
      message_memory_(options.message_memory_bytes, &calls_),
      validator_(rpc::RequestBounds(), Policy()) {
  // Never from inside Run: no guest is that fast.
  factory_.on_run = [this, on_run = std::move(on_run)](FakeSandbox& sandbox) {
    loop_.Post([this, on_run, id = sandbox.id()] {
      const auto found = factory_.live().find(id);
      if (found != factory_.live().end() && found->second->running()) on_run(*found->second);
    });
  };
  pools_ = std::make_unique<pool::PoolSet>(&loop_, &factory_, &observer_, OnePool());
  sandboxes_ = std::make_unique<core::SandboxManager>(
      &loop_, pools_.get(), &observer_, core::SandboxManagerOptions{.maximum_count = 8});
  manager_ = std::make_unique<core::ExecutionManager>(
      &loop_, pools_.get(), &observer_, core::ExecutionManagerOptions(), sandboxes_.get());
  forks_ = std::make_unique<core::ForkManager>(&loop_, sandboxes_.get(), &observer_);
  interpreters_ = std::make_unique<core::InterpreterManager>(sandboxes_.get(), &observer_);
  core::FileManagerOptions files;
  files.stream_idle_timeout = options.file_stream_idle_timeout;
  files_ = std::make_unique<core::FileManager>(&loop_, sandboxes_.get(), &observer_, files);
  messages_ = std::make_unique<core::MessageManager>(sandboxes_.get());
  backend_ = {.loop = &loop_,
              .executions = manager_.get(),
              .sandboxes = sandboxes_.get(),
              .forks = forks_.get(),
              .interpreters = interpreters_.get(),
              .files = files_.get(),
              .messages = messages_.get(),
              .validator = &validator_,
              .sandbox_validator = &sandbox_validator_,
              .request_memory = &request_memory_,
              .map_memory = &map_memory_,
              .message_memory = &message_memory_,
              .default_template = "python",
              .keep_alive_interval = options.keep_alive_interval,
              .opening_patience = options.opening_patience,
              .leaving_patience = options.leaving_patience,
              .info = [] {
                v1::GetInfoResponse info;
                info.set_version("for tests");
                return info;
              }};
  auto server = rpc::GrpcServer::Start(&gate_, {});
  EXPECT_TRUE(server.ok()) << server.status();
  grpc_server_ = *std::move(server);
  loop_.Post([this] { pools_->Start(); });
  thread_ = std::thread([this] { loop_.Run(); });

  const std::shared_ptr<grpc::Channel> channel = NewChannel();
  executions_stub_ = v1::ExecutionService::NewStub(channel);
  sandboxes_stub_ = v1::SandboxService::NewStub(channel);
  interpreters_stub_ = v1::InterpreterService::NewStub(channel);
  info_stub_ = v1::InfoService::NewStub(channel);
  files_stub_ = v1::FileService::NewStub(channel);
  messages_stub_ = v1::MessageService::NewStub(channel);
  health_stub_ = grpc::health::v1::Health::NewStub(channel);
}

std::shared_ptr<grpc::Channel> TestServer::NewChannel() {
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  grpc_server_->AdoptConnection(sandbox::UniqueFd(ends[0]));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  return grpc::CreateCustomInsecureChannelFromFd("test", ends[1], arguments);
}

TestServer::~TestServer() {
  grpc_server_->Shutdown(absl::ZeroDuration());
  EXPECT_TRUE(calls_.WaitUntilQuiet());
  OnLoop([this] {
    manager_.reset();
    sandboxes_.reset();
    pools_.reset();
  });
  loop_.Stop();
  thread_.join();
}

std::string ReasonIn(const grpc::Status& status) {
  google::rpc::Status details;
  details.ParseFromString(status.error_details());
  google::rpc::ErrorInfo info;
  for (const auto& any : details.details()) {
    if (any.UnpackTo(&info)) return info.reason();
  }
  return "";
}

}  // namespace cloister::testing
