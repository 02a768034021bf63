#include "tests/unit/clients_cli/fake_execution_service.h"

#include <stdlib.h>

#include <chrono>
#include <filesystem>

#include "absl/time/clock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"

namespace cloister {

v1::ExecutionEvent StartedEvent() {
  v1::ExecutionEvent event;
  event.set_sequence(1);
  event.mutable_started()->set_execution(kFakeExecution);
  event.mutable_started()->set_start_kind(v1::START_KIND_WARM);
  return event;
}

v1::ExecutionEvent StdoutEvent(int64_t sequence, const std::string& bytes) {
  v1::ExecutionEvent event;
  event.set_sequence(sequence);
  event.set_stdout(bytes);
  return event;
}

v1::ExecutionEvent StderrEvent(int64_t sequence, const std::string& bytes) {
  v1::ExecutionEvent event;
  event.set_sequence(sequence);
  event.set_stderr(bytes);
  return event;
}

v1::ExecutionEvent FinishedEvent(int64_t sequence, v1::Outcome::Kind kind) {
  v1::ExecutionEvent event;
  event.set_sequence(sequence);
  event.mutable_finished()->mutable_outcome()->set_kind(kind);
  return event;
}

FakeExecutionService::FakeExecutionService() {
  directory_ = std::filesystem::temp_directory_path() / "cloister-test-XXXXXX";
  if (::mkdtemp(directory_.data()) == nullptr) ::abort();
  address_ = "unix:" + directory_ + "/sock";
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
}

FakeExecutionService::~FakeExecutionService() {
  StopServing();
  std::filesystem::remove_all(directory_);
}

void FakeExecutionService::StopServing() {
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
}

v1::ExecuteRequest FakeExecutionService::execute_request() const {
  absl::MutexLock lock(&mutex_);
  return execute_request_;
}

std::vector<int64_t> FakeExecutionService::attached_after() const {
  absl::MutexLock lock(&mutex_);
  return attached_after_;
}

int FakeExecutionService::interrupt_count() const {
  absl::MutexLock lock(&mutex_);
  return interrupt_count_;
}

void FakeExecutionService::AwaitInterrupt() const {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(
      +[](const int* count) { return *count > 0; }, &interrupt_count_));
}

grpc::Status FakeExecutionService::Execute(grpc::ServerContext* context,
                                           const v1::ExecuteRequest* request,
                                           grpc::ServerWriter<v1::ExecuteResponse>* writer) {
  {
    absl::MutexLock lock(&mutex_);
    execute_request_ = *request;
  }
  return Play(execute, context, writer);
}

v1::MapCodeRequest FakeExecutionService::map_request() const {
  const absl::MutexLock lock(&mutex_);
  return map_request_;
}

grpc::Status FakeExecutionService::MapCode(grpc::ServerContext* /*context*/,
                                           const v1::MapCodeRequest* request,
                                           grpc::ServerWriter<v1::MapCodeResponse>* writer) {
  {
    const absl::MutexLock lock(&mutex_);
    map_request_ = *request;
  }
  for (const v1::MapCodeResponse& response : map) writer->Write(response);
  return grpc::Status::OK;
}

grpc::Status FakeExecutionService::AttachExecution(
    grpc::ServerContext* context, const v1::AttachExecutionRequest* request,
    grpc::ServerWriter<v1::AttachExecutionResponse>* writer) {
  size_t index = 0;
  {
    absl::MutexLock lock(&mutex_);
    index = attached_after_.size();
    attached_after_.push_back(request->after_sequence());
  }
  if (index >= attaches.size()) {
    return StatusWithDetails(grpc::StatusCode::NOT_FOUND, "no such execution",
                             "EXECUTION_NOT_FOUND");
  }
  return Play(attaches[index], context, writer);
}

grpc::Status FakeExecutionService::InterruptExecution(grpc::ServerContext*,
                                                      const v1::InterruptExecutionRequest* request,
                                                      v1::InterruptExecutionResponse* response) {
  if (request->execution() != kFakeExecution) {
    return StatusWithDetails(grpc::StatusCode::NOT_FOUND, "no such execution",
                             "EXECUTION_NOT_FOUND");
  }
  response->mutable_outcome()->set_kind(v1::Outcome::KIND_INTERRUPTED);
  absl::MutexLock lock(&mutex_);
  ++interrupt_count_;
  return grpc::Status::OK;
}

template <typename Response>
grpc::Status FakeExecutionService::Play(const Stream& stream, grpc::ServerContext* context,
                                        grpc::ServerWriter<Response>* writer) {
  const auto write = [writer](const std::vector<v1::ExecutionEvent>& events) {
    for (const v1::ExecutionEvent& event : events) {
      Response response;
      *response.mutable_event() = event;
      writer->Write(response);
    }
  };
  write(stream.events);
  if (stream.until_interrupted) AwaitInterrupt();
  while (stream.until_cancelled && !context->IsCancelled()) absl::SleepFor(absl::Milliseconds(1));
  write(stream.events_after);
  return stream.status;
}

grpc::Status StatusWithDetails(grpc::StatusCode code, const std::string& message,
                               const std::string& reason,
                               const std::vector<const google::protobuf::Message*>& more) {
  google::rpc::Status details;
  details.set_code(code);
  details.set_message(message);
  google::rpc::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain("cloister");
  details.add_details()->PackFrom(info);
  for (const google::protobuf::Message* detail : more) details.add_details()->PackFrom(*detail);
  return grpc::Status(code, message, details.SerializeAsString());
}

}  // namespace cloister
