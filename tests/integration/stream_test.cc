// Streams of one real server: events as they happen, interruption, re-attachment, callers that go
// away.

#include <string>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/integration/server_test.h"

namespace cloister::testing {
namespace {

using StreamTest = ServerTest;

TEST_F(StreamTest, StreamsOutputWhileTheProgramRuns) {
  v1::ExecuteRequest request;
  request.mutable_program()->set_code(
      "import sys\nprint('first')\nsys.stderr.write('second')\ninput()\n");
  request.mutable_limits()->mutable_wall_time()->set_seconds(20);
  // Standard input ends at once, so input() raises after both pieces were written.
  auto context = Context();
  auto reader = server_->executions().Execute(context.get(), request);
  v1::ExecuteResponse response;
  std::string out, err;
  int64_t last_sequence = 0;
  int finished = 0;
  while (reader->Read(&response)) {
    const auto& event = response.event();
    if (event.event_case() == v1::ExecutionEvent::kKeepAlive) continue;
    EXPECT_EQ(finished, 0) << "an event after the end";
    EXPECT_EQ(event.sequence(), ++last_sequence);
    if (event.sequence() == 1) {
      EXPECT_EQ(event.event_case(), v1::ExecutionEvent::kStarted);
      EXPECT_TRUE(absl::StartsWith(event.started().execution(), "executions/"));
    }
    out += event.stdout();
    err += event.stderr();
    if (event.has_finished()) {
      ++finished;
      EXPECT_EQ(Describe(event.finished().outcome()), "RAISED EOFError");
    }
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(finished, 1);
  EXPECT_EQ(out, "first\n");
  EXPECT_TRUE(absl::StartsWith(err, "second")) << err;
}

TEST_F(StreamTest, InterruptRaisesKeyboardInterruptAndThenKills) {
  for (const bool ignoring : {false, true}) {
    v1::ExecuteRequest request;
    request.mutable_program()->set_code(
        ignoring
            ? "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('on')\n"
              "while True: time.sleep(1)\n"
            : "import time\nprint('on')\ntime.sleep(1000)\n");
    auto context = Context();
    auto reader = server_->executions().Execute(context.get(), request);
    v1::ExecuteResponse response;
    std::string name;
    while (reader->Read(&response) && response.event().stdout() != "on\n") {
      if (response.event().has_started()) name = response.event().started().execution();
    }
    v1::InterruptExecutionRequest interrupt;
    interrupt.set_execution(name);
    interrupt.mutable_grace()->set_nanos(200'000'000);
    v1::InterruptExecutionResponse interrupted;
    const grpc::Status status =
        server_->executions().InterruptExecution(Context().get(), interrupt, &interrupted);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(Describe(interrupted.outcome()), "INTERRUPTED");
    EXPECT_EQ(interrupted.outcome().has_exception(), !ignoring);
    while (reader->Read(&response)) {
    }
    EXPECT_TRUE(reader->Finish().ok());
  }
}

TEST_F(StreamTest, DetachedExecutionsCanBeAttachedTo) {
  v1::ExecuteRequest request;
  request.mutable_program()->set_code("for i in range(5): print(i)");
  request.set_on_disconnect(v1::ExecuteRequest::ON_DISCONNECT_DETACH);
  std::string name;
  {
    auto context = Context();
    auto reader = server_->executions().Execute(context.get(), request);
    v1::ExecuteResponse response;
    ASSERT_TRUE(reader->Read(&response));
    name = response.event().started().execution();
    context->TryCancel();
    (void)reader->Finish();
  }
  for (int64_t after : {0, 1}) {
    v1::AttachExecutionRequest attach;
    attach.set_execution(name);
    attach.set_after_sequence(after);
    auto context = Context();
    auto reader = server_->executions().AttachExecution(context.get(), attach);
    v1::AttachExecutionResponse response;
    std::string out;
    int64_t first = 0;
    bool finished = false;
    while (reader->Read(&response)) {
      if (first == 0) first = response.event().sequence();
      out += response.event().stdout();
      finished |= response.event().has_finished();
    }
    EXPECT_TRUE(reader->Finish().ok());
    EXPECT_EQ(first, after + 1);
    EXPECT_EQ(out, "0\n1\n2\n3\n4\n");
    EXPECT_TRUE(finished);
  }
}

TEST_F(StreamTest, UnknownExecutionsAreNotFound) {
  v1::InterruptExecutionRequest request;
  request.set_execution("executions/aaaaaaaaaaaaaaaaaaaaaaaaaa");
  v1::InterruptExecutionResponse response;
  const grpc::Status status =
      server_->executions().InterruptExecution(Context().get(), request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Reason(status), "EXECUTION_NOT_FOUND");
}

TEST_F(StreamTest, CancellingTheCallStopsTheProgram) {
  v1::ExecuteRequest request;
  request.mutable_program()->set_code("while True: pass");
  std::string name;
  {
    auto context = Context();
    auto reader = server_->executions().Execute(context.get(), request);
    v1::ExecuteResponse response;
    ASSERT_TRUE(reader->Read(&response));
    name = response.event().started().execution();
    context->TryCancel();
    (void)reader->Finish();
  }
  // Attaching follows the execution to its end: it ends only if the cancellation killed it.
  v1::AttachExecutionRequest attach;
  attach.set_execution(name);
  auto context = Context();
  auto reader = server_->executions().AttachExecution(context.get(), attach);
  v1::AttachExecutionResponse response;
  v1::Outcome outcome;
  while (reader->Read(&response)) {
    if (response.event().has_finished()) outcome = response.event().finished().outcome();
  }
  EXPECT_EQ(Describe(outcome), "INTERRUPTED");
}

TEST_F(StreamTest, TheCallersDeadlineStopsTheProgram) {
  v1::RunCodeRequest request;
  request.mutable_program()->set_code("while True: pass");
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(300));
  v1::RunCodeResponse response;
  const grpc::Status status = server_->executions().RunCode(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(Describe(RunText("pass").outcome()), "SUCCEEDED");
}

TEST_F(StreamTest, RepeatingARequestIdReturnsTheSameExecution) {
  v1::RunCodeRequest request;
  request.set_request_id("repeat-1");
  request.mutable_program()->set_code("import uuid; print(uuid.uuid4())");
  const auto first = Run(request);
  const auto second = Run(request);
  EXPECT_EQ(first.execution(), second.execution());
  EXPECT_EQ(first.stdout(), second.stdout());

  request.mutable_program()->set_code("print('another program')");
  v1::RunCodeResponse response;
  const grpc::Status status = TryRun(request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Reason(status), "REQUEST_ID_REUSED");
}

TEST_F(StreamTest, ASlowReaderStopsTheGuestAndNotTheServer) {
  v1::ExecuteRequest request;
  request.mutable_program()->set_code(
      "import os\nfor _ in range(400): os.write(1, b'x' * 65536)\n");
  request.mutable_limits()->set_output_bytes(16 << 20);
  request.mutable_limits()->mutable_wall_time()->set_seconds(2);
  auto context = Context();
  auto reader = server_->executions().Execute(context.get(), request);
  v1::ExecuteResponse response;
  ASSERT_TRUE(reader->Read(&response));
  // Nothing is read while the wall time passes: back-pressure must hold the guest until then.
  const std::string name = response.event().started().execution();
  v1::AttachExecutionRequest attach;
  attach.set_execution(name);
  attach.set_after_sequence(int64_t{1} << 40);
  int64_t delivered = 0;
  v1::Outcome outcome;
  absl::SleepFor(absl::Milliseconds(2500));  // the subject: a reader that does nothing for so long
  while (reader->Read(&response)) {
    delivered += static_cast<int64_t>(response.event().stdout().size());
    if (response.event().has_finished()) outcome = response.event().finished().outcome();
  }
  EXPECT_EQ(Describe(outcome), "WALL_TIMEOUT");
  EXPECT_LT(delivered, 8 << 20);
  EXPECT_EQ(delivered, outcome.usage().stdout_bytes());
}

}  // namespace
}  // namespace cloister::testing
