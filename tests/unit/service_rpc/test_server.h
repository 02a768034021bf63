// A gRPC server over the real core and pool, and over sandboxes that do what the test says.

#ifndef CLOISTER_TESTS_UNIT_SERVICE_RPC_TEST_SERVER_H_
#define CLOISTER_TESTS_UNIT_SERVICE_RPC_TEST_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "cloister/v1/execution_service.grpc.pb.h"
#include "cloister/v1/file_service.grpc.pb.h"
#include "cloister/v1/info_service.grpc.pb.h"
#include "cloister/v1/interpreter_service.grpc.pb.h"
#include "cloister/v1/message_service.grpc.pb.h"
#include "cloister/v1/sandbox_service.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "gtest/gtest.h"
#include "sandbox/host/asio_loop.h"
#include "service/core/execution_manager.h"
#include "service/pool/pool_set.h"
#include "service/rpc/gate.h"
#include "service/rpc/grpc_server.h"
#include "tests/support/fake_sandbox.h"

namespace cloister::testing {

// Keeps what tests wait for. Thread-safety: safe.
class RecordingObserver final : public core::ServiceObserver {
 public:
  struct Ended {
    absl::Status status;
    v1::Outcome::Kind kind;
  };

  // The next execution that ends, in their order; fails the test after ten seconds.
  Ended WaitForEnd() {
    absl::MutexLock lock(&mutex_);
    const auto ready = [this] { return next_ < ended_.size(); };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&ready), absl::Seconds(10))) {
      ADD_FAILURE() << "no execution ended";
      return {absl::UnknownError("none"), v1::Outcome::KIND_UNSPECIFIED};
    }
    return ended_[next_++];
  }

  // Until a slow reader has stopped a guest.
  bool WaitForStall() {
    absl::MutexLock lock(&mutex_);
    const auto ready = [this] { return stalls_ > 0; };
    return mutex_.AwaitWithTimeout(absl::Condition(&ready), absl::Seconds(10));
  }

  int64_t most_buffered_bytes() {
    absl::MutexLock lock(&mutex_);
    return most_buffered_;
  }

  void OnExecutionEnded(const core::ExecutionRecord& record) override {
    absl::MutexLock lock(&mutex_);
    ended_.push_back({record.status, record.outcome.kind()});
  }
  void OnStreamStalled() override {
    absl::MutexLock lock(&mutex_);
    ++stalls_;
  }
  void OnBufferedBytes(int64_t change) override {
    absl::MutexLock lock(&mutex_);
    buffered_ += change;
    most_buffered_ = std::max(most_buffered_, buffered_);
  }

 private:
  absl::Mutex mutex_;
  std::vector<Ended> ended_;
  size_t next_ = 0;
  int stalls_ = 0;
  int64_t buffered_ = 0;
  int64_t most_buffered_ = 0;
};

// Counts calls. Thread-safety: safe.
class RecordingCalls final : public core::CallObserver {
 public:
  void OnCallStarted(core::CallMethod) override {
    absl::MutexLock lock(&mutex_);
    ++started_;
  }
  void OnCallEnded(core::CallMethod, const absl::Status& status, absl::Duration) override {
    absl::MutexLock lock(&mutex_);
    statuses_.push_back(status.code());
  }
  // Until as many calls have ended as were started.
  bool WaitUntilQuiet() {
    absl::MutexLock lock(&mutex_);
    const auto quiet = [this] { return started_ == static_cast<int>(statuses_.size()); };
    return mutex_.AwaitWithTimeout(absl::Condition(&quiet), absl::Seconds(10));
  }
  std::vector<absl::StatusCode> statuses() {
    absl::MutexLock lock(&mutex_);
    return statuses_;
  }

 private:
  absl::Mutex mutex_;
  int started_ = 0;
  std::vector<absl::StatusCode> statuses_;
};

// Admits everybody until it is told to refuse. Thread-safety: safe.
class TestGate final : public rpc::Gate {
 public:
  TestGate(const rpc::Backend* backend, core::CallObserver* observer)
      : backend_(backend), observer_(observer) {}

  // From here on all calls; OK admits them again.
  void Refuse(absl::Status refusal) {
    absl::MutexLock lock(&mutex_);
    refusal_ = std::move(refusal);
  }

  rpc::Admission Admit(const grpc::CallbackServerContext& /*context*/,
                       core::CallMethod method) override {
    absl::MutexLock lock(&mutex_);
    return {.backend = refusal_.ok() ? backend_ : nullptr,
            .refusal = refusal_,
            .record = rpc::CallRecord(observer_, method)};
  }

 private:
  const rpc::Backend* const backend_;
  core::CallObserver* const observer_;
  absl::Mutex mutex_;
  absl::Status refusal_ ABSL_GUARDED_BY(mutex_);
};

struct TestServerOptions {
  absl::Duration keep_alive_interval = absl::Minutes(1);
  int64_t request_memory_bytes = int64_t{256} << 20;
  int64_t message_memory_bytes = int64_t{256} << 20;
  absl::Duration opening_patience = absl::Minutes(1);
  absl::Duration leaving_patience = absl::Minutes(1);
  absl::Duration file_stream_idle_timeout = absl::Minutes(1);
};

// One template, "python". What a guest does is up to `on_run`, called on the loop.
class TestServer {
 public:
  explicit TestServer(std::function<void(FakeSandbox&)> on_run, TestServerOptions options = {});
  ~TestServer();

  // Runs `function` on the loop and returns what it returns.
  template <typename Function>
  auto OnLoop(Function function) {
    using Result = decltype(function());
    absl::Notification done;
    if constexpr (std::is_void_v<Result>) {
      loop_.Post([&] { function(), done.Notify(); });
      done.WaitForNotification();
    } else {
      Result result{};
      loop_.Post([&] { result = function(), done.Notify(); });
      done.WaitForNotification();
      return result;
    }
  }

  // A live sandbox's name.
  std::string MakeSandbox() {
    grpc::ClientContext context;
    v1::CreateSandboxResponse response;
    const grpc::Status status =
        sandboxes().CreateSandbox(&context, v1::CreateSandboxRequest(), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.sandbox().name();
  }

  // Asks the loop again and again until `condition` holds there; false after ten seconds.
  bool WaitOnLoop(const std::function<bool()>& condition) {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (absl::Now() < deadline) {
      if (OnLoop(condition)) return true;
      std::this_thread::yield();
    }
    return false;
  }

  // One more connection, which needs neither a port nor a name in the file system.
  std::shared_ptr<grpc::Channel> NewChannel();

  v1::ExecutionService::Stub& executions() { return *executions_stub_; }
  v1::SandboxService::Stub& sandboxes() { return *sandboxes_stub_; }
  v1::InterpreterService::Stub& interpreters() { return *interpreters_stub_; }
  v1::InfoService::Stub& info() { return *info_stub_; }
  v1::FileService::Stub& files() { return *files_stub_; }
  v1::MessageService::Stub& messages() { return *messages_stub_; }
  core::FileManager& file_manager() { return *files_; }
  core::ForkManager& forks() { return *forks_; }
  grpc::health::v1::Health::Stub& health() { return *health_stub_; }
  rpc::GrpcServer& grpc_server() { return *grpc_server_; }
  core::ExecutionManager& manager() { return *manager_; }
  core::RequestMemory& request_memory() { return request_memory_; }
  core::RequestMemory& message_memory() { return message_memory_; }
  FakeSandboxFactory& factory() { return factory_; }
  RecordingObserver& observer() { return observer_; }
  RecordingCalls& calls() { return calls_; }
  TestGate& gate() { return gate_; }
  sandbox::AsioLoop& loop() { return loop_; }

 private:
  sandbox::AsioLoop loop_;
  std::thread thread_;
  RecordingObserver observer_;
  RecordingCalls calls_;
  FakeSandboxFactory factory_{&loop_};
  std::unique_ptr<pool::PoolSet> pools_;
  std::unique_ptr<core::SandboxManager> sandboxes_;
  std::unique_ptr<core::ForkManager> forks_;
  std::unique_ptr<core::InterpreterManager> interpreters_;
  std::unique_ptr<core::FileManager> files_;
  std::unique_ptr<core::MessageManager> messages_;
  std::unique_ptr<core::ExecutionManager> manager_;
  core::RequestMemory request_memory_;
  core::RequestMemory map_memory_;
  core::RequestMemory message_memory_;
  rpc::RequestValidator validator_;
  rpc::SandboxRequestValidator sandbox_validator_{&validator_, rpc::LifetimePolicy()};
  rpc::Backend backend_;
  TestGate gate_{&backend_, &calls_};
  std::unique_ptr<rpc::GrpcServer> grpc_server_;
  std::unique_ptr<v1::ExecutionService::Stub> executions_stub_;
  std::unique_ptr<v1::SandboxService::Stub> sandboxes_stub_;
  std::unique_ptr<v1::InterpreterService::Stub> interpreters_stub_;
  std::unique_ptr<v1::InfoService::Stub> info_stub_;
  std::unique_ptr<v1::FileService::Stub> files_stub_;
  std::unique_ptr<v1::MessageService::Stub> messages_stub_;
  std::unique_ptr<grpc::health::v1::Health::Stub> health_stub_;
};

// The reason in the status's google.rpc.ErrorInfo; "" where there is none.
std::string ReasonIn(const grpc::Status& status);

}  // namespace cloister::testing

#endif  // CLOISTER_TESTS_UNIT_SERVICE_RPC_TEST_SERVER_H_
