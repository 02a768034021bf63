// Calls that tests of live sandboxes share.

#ifndef CLOISTER_TESTS_INTEGRATION_LIVE_TEST_H_
#define CLOISTER_TESTS_INTEGRATION_LIVE_TEST_H_

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "cloister/v1/sandbox_service.grpc.pb.h"
#include "google/protobuf/duration.pb.h"
#include "tests/integration/server_test.h"

namespace cloister::testing {

inline google::protobuf::Duration Milliseconds(int64_t milliseconds) {
  google::protobuf::Duration duration;
  duration.set_seconds(milliseconds / 1000);
  duration.set_nanos(static_cast<int32_t>(milliseconds % 1000 * 1'000'000));
  return duration;
}

class LiveTest : public ServerTest {
 protected:
  void TearDown() override {
    for (const std::string& name : made_) (void)Delete(name);
  }

  grpc::Status TryCreate(const v1::CreateSandboxRequest& request, v1::Sandbox* sandbox) {
    v1::CreateSandboxResponse response;
    const grpc::Status status =
        server_->sandboxes().CreateSandbox(Context().get(), request, &response);
    *sandbox = response.sandbox();
    if (status.ok()) made_.push_back(sandbox->name());
    return status;
  }
  v1::Sandbox Create(const v1::CreateSandboxRequest& request = {}) {
    v1::Sandbox sandbox;
    const grpc::Status status = TryCreate(request, &sandbox);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return sandbox;
  }
  grpc::Status Delete(const std::string& name) {
    v1::DeleteSandboxRequest request;
    request.set_name(name);
    v1::DeleteSandboxResponse response;
    return server_->sandboxes().DeleteSandbox(Context().get(), request, &response);
  }
  grpc::Status Get(const std::string& name, v1::Sandbox* sandbox) {
    v1::GetSandboxRequest request;
    request.set_name(name);
    v1::GetSandboxResponse response;
    const grpc::Status status =
        server_->sandboxes().GetSandbox(Context().get(), request, &response);
    *sandbox = response.sandbox();
    return status;
  }
  v1::Sandbox Restart(const std::string& name) {
    v1::RestartSandboxRequest request;
    request.set_name(name);
    v1::RestartSandboxResponse response;
    const grpc::Status status =
        server_->sandboxes().RestartSandbox(Context().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.sandbox();
  }
  // Asks again and again until it is in that state; false after ten seconds.
  bool AwaitState(const std::string& name, v1::Sandbox::State state, v1::Sandbox* last) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < deadline) {
      if (!Get(name, last).ok()) return false;
      if (last->state() == state) return true;
    }
    return false;
  }

  static v1::RunCodeRequest CellRequest(const std::string& interpreter, const std::string& code) {
    v1::RunCodeRequest request;
    request.set_interpreter(interpreter);
    request.mutable_program()->set_code(code);
    request.mutable_program()->set_return_value(true);
    return request;
  }
  v1::RunCodeResponse Cell(const std::string& interpreter, const std::string& code) {
    return Run(CellRequest(interpreter, code));
  }
  // Its value's text.
  std::string Value(const std::string& interpreter, const std::string& code) {
    const v1::RunCodeResponse response = Cell(interpreter, code);
    EXPECT_EQ(response.outcome().kind(), v1::Outcome::KIND_SUCCEEDED)
        << response.outcome().DebugString();
    return response.outcome().value().text();
  }
  v1::InterruptExecutionResponse Interrupt(const std::string& interpreter,
                                           int64_t grace_milliseconds = 2'000) {
    v1::InterruptExecutionRequest request;
    request.set_interpreter(interpreter);
    *request.mutable_grace() = Milliseconds(grace_milliseconds);
    v1::InterruptExecutionResponse response;
    const grpc::Status status =
        server_->executions().InterruptExecution(Context().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  std::vector<std::string> made_;
};

// A cell that runs, followed event by event.
class RunningCell {
 public:
  RunningCell(v1::ExecutionService::Stub& stub, const v1::ExecuteRequest& request)
      : reader_(stub.Execute(&context_, request)) {}
  RunningCell(v1::ExecutionService::Stub& stub, const std::string& interpreter,
              const std::string& code)
      : RunningCell(stub, RequestFor(interpreter, code)) {}

  static v1::ExecuteRequest RequestFor(const std::string& interpreter, const std::string& code) {
    v1::ExecuteRequest request;
    request.set_interpreter(interpreter);
    request.mutable_program()->set_code(code);
    return request;
  }

  // The next event that is no keep-alive; unset at the end.
  v1::ExecutionEvent Next() {
    v1::ExecuteResponse response;
    while (reader_->Read(&response)) {
      if (!response.event().has_keep_alive()) return response.event();
    }
    status_ = reader_->Finish();
    return {};
  }
  // Until stdout has this text.
  void AwaitOutput(const std::string& text) {
    std::string out;
    while (out.find(text) == std::string::npos) {
      const v1::ExecutionEvent event = Next();
      if (event.event_case() == v1::ExecutionEvent::EVENT_NOT_SET || event.has_finished()) {
        ADD_FAILURE() << "ended before it wrote " << text << ": " << event.DebugString()
                      << status_.error_message();
        return;
      }
      out += event.stdout();
    }
  }
  v1::Outcome AwaitEnd() {
    for (;;) {
      const v1::ExecutionEvent event = Next();
      if (event.has_finished()) return event.finished().outcome();
      if (event.event_case() == v1::ExecutionEvent::EVENT_NOT_SET) return {};
    }
  }
  void Cancel() { context_.TryCancel(); }
  const grpc::Status& status() const { return status_; }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::ExecuteResponse>> reader_;
  grpc::Status status_;
};

}  // namespace cloister::testing

#endif  // CLOISTER_TESTS_INTEGRATION_LIVE_TEST_H_
