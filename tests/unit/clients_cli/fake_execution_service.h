// An ExecutionService that plays a script on a unix socket: streams can be cut where a test wants
// it.

#ifndef CLOISTER_TESTS_UNIT_CLIENTS_CLI_FAKE_EXECUTION_SERVICE_H_
#define CLOISTER_TESTS_UNIT_CLIENTS_CLI_FAKE_EXECUTION_SERVICE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "cloister/v1/execution_service.grpc.pb.h"
#include "grpcpp/server.h"

namespace cloister {

inline constexpr char kFakeExecution[] = "executions/abc";

v1::ExecutionEvent StartedEvent();
v1::ExecutionEvent StdoutEvent(int64_t sequence, const std::string& bytes);
v1::ExecutionEvent StderrEvent(int64_t sequence, const std::string& bytes);
v1::ExecutionEvent FinishedEvent(int64_t sequence, v1::Outcome::Kind kind);

// One stream: its events, then its status. With `until_interrupted`, InterruptExecution is waited
// for after the events; with `until_cancelled`, the caller's cancellation is.
struct Stream {
  std::vector<v1::ExecutionEvent> events;
  grpc::Status status = grpc::Status::OK;
  bool until_interrupted = false;
  bool until_cancelled = false;
  std::vector<v1::ExecutionEvent> events_after = {};
};

// Thread-safe once it is started; the scripts are set before.
class FakeExecutionService final : public v1::ExecutionService::Service {
 public:
  FakeExecutionService();
  ~FakeExecutionService() override;

  const std::string& address() const { return address_; }
  void StopServing();

  Stream execute;
  std::vector<v1::MapCodeResponse> map;
  std::vector<Stream> attaches;  // one for each call; past them EXECUTION_NOT_FOUND

  // What was asked, so far.
  v1::ExecuteRequest execute_request() const ABSL_LOCKS_EXCLUDED(mutex_);
  v1::MapCodeRequest map_request() const ABSL_LOCKS_EXCLUDED(mutex_);
  std::vector<int64_t> attached_after() const ABSL_LOCKS_EXCLUDED(mutex_);
  int interrupt_count() const ABSL_LOCKS_EXCLUDED(mutex_);
  void AwaitInterrupt() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  grpc::Status Execute(grpc::ServerContext* context, const v1::ExecuteRequest* request,
                       grpc::ServerWriter<v1::ExecuteResponse>* writer) override;
  grpc::Status MapCode(grpc::ServerContext* context, const v1::MapCodeRequest* request,
                       grpc::ServerWriter<v1::MapCodeResponse>* writer) override;
  grpc::Status AttachExecution(grpc::ServerContext* context,
                               const v1::AttachExecutionRequest* request,
                               grpc::ServerWriter<v1::AttachExecutionResponse>* writer) override;
  grpc::Status InterruptExecution(grpc::ServerContext* context,
                                  const v1::InterruptExecutionRequest* request,
                                  v1::InterruptExecutionResponse* response) override;
  template <typename Response>
  grpc::Status Play(const Stream& stream, grpc::ServerContext* context,
                    grpc::ServerWriter<Response>* writer);

  std::string directory_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;

  mutable absl::Mutex mutex_;
  v1::ExecuteRequest execute_request_ ABSL_GUARDED_BY(mutex_);
  v1::MapCodeRequest map_request_ ABSL_GUARDED_BY(mutex_);
  std::vector<int64_t> attached_after_ ABSL_GUARDED_BY(mutex_);
  int interrupt_count_ ABSL_GUARDED_BY(mutex_) = 0;
};

// A status with google.rpc details, as the server makes them.
grpc::Status StatusWithDetails(grpc::StatusCode code, const std::string& message,
                               const std::string& reason,
                               const std::vector<const google::protobuf::Message*>& more = {});

}  // namespace cloister

#endif  // CLOISTER_TESTS_UNIT_CLIENTS_CLI_FAKE_EXECUTION_SERVICE_H_
