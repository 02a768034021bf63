// Calls through a real gRPC server, with the core and the pool behind it and sandboxes of the
// test's.

#include "service/rpc/grpc_server.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/service_rpc/test_server.h"

namespace cloister::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

void FinishAtOnce(FakeSandbox& sandbox) { sandbox.Finish(); }
void RunForever(FakeSandbox&) {}

TEST(RunCodeTest, ReturnsWhatTheProgramWrote) {
  TestServer server([](FakeSandbox& sandbox) {
    sandbox.Write("out: " + sandbox.program().code());
    sandbox.Write("err", sandbox::OutputStream::kStderr);
    sandbox.Finish();
  });
  grpc::ClientContext context;
  v1::RunCodeRequest request;
  request.mutable_program()->set_code("the code");
  request.mutable_limits()->set_memory_bytes(12345678);
  v1::RunCodeResponse response;
  const grpc::Status status = server.executions().RunCode(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.stdout(), "out: the code");
  EXPECT_EQ(response.stderr(), "err");
  EXPECT_EQ(response.outcome().kind(), v1::Outcome::KIND_SUCCEEDED);
  EXPECT_EQ(response.effective_limits().memory_bytes(), 12345678);
  EXPECT_EQ(response.effective_limits().wall_time().seconds(), 10);
  EXPECT_THAT(response.execution(), HasSubstr("executions/"));
  EXPECT_NE(response.start_kind(), v1::START_KIND_UNSPECIFIED);
}

TEST(RunCodeTest, RefusesBadFieldsWithoutASandbox) {
  TestServer server(FinishAtOnce);
  grpc::ClientContext context;
  v1::RunCodeRequest request;
  request.mutable_limits()->set_memory_bytes(0);
  v1::RunCodeResponse response;
  const grpc::Status status = server.executions().RunCode(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReasonIn(status), "FIELD_INVALID");
}

TEST(RunCodeTest, NamesAnUnknownTemplate) {
  TestServer server(FinishAtOnce);
  grpc::ClientContext context;
  v1::RunCodeRequest request;
  request.set_template_("ruby");
  v1::RunCodeResponse response;
  const grpc::Status status = server.executions().RunCode(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ReasonIn(status), "TEMPLATE_UNKNOWN");
}

TEST(RunCodeTest, RepeatsTheResultOfARepeatedRequest) {
  TestServer server(FinishAtOnce);
  v1::RunCodeRequest request;
  request.set_request_id("once");
  (*request.mutable_program()->mutable_environment())["A"] = "1";
  (*request.mutable_program()->mutable_environment())["B"] = "2";
  v1::RunCodeResponse first, second;
  grpc::ClientContext context1, context2, context3;
  ASSERT_TRUE(server.executions().RunCode(&context1, request, &first).ok());
  ASSERT_TRUE(server.executions().RunCode(&context2, request, &second).ok());
  EXPECT_EQ(first.execution(), second.execution());
  request.mutable_program()->set_code("another");
  const grpc::Status status = server.executions().RunCode(&context3, request, &second);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(ReasonIn(status), "REQUEST_ID_REUSED");
}

TEST(RunCodeTest, CancellationKillsTheSandbox) {
  absl::Notification running;
  TestServer server([&running](FakeSandbox&) { running.Notify(); });
  grpc::ClientContext context;
  std::thread canceller([&] {
    running.WaitForNotification();
    context.TryCancel();
  });
  v1::RunCodeResponse response;
  const grpc::Status status = server.executions().RunCode(&context, {}, &response);
  canceller.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_EQ(server.observer().WaitForEnd().kind, v1::Outcome::KIND_INTERRUPTED);
}

TEST(RunCodeTest, PassingTheDeadlineKillsTheSandbox) {
  TestServer server(RunForever);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
  v1::RunCodeResponse response;
  const grpc::Status status = server.executions().RunCode(&context, {}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  const auto ended = server.observer().WaitForEnd();
  // On a machine so slow that the program had not even started, it never does.
  if (ended.status.ok()) {
    EXPECT_EQ(ended.kind, v1::Outcome::KIND_INTERRUPTED);
  }
}

TEST(RunCodeTest, RefusesWhatWouldHoldTooMuchMemoryWhileItWaits) {
  TestServer server(FinishAtOnce, {.request_memory_bytes = 1 << 20});
  // Nobody is served until the test says so.
  server.factory().answer_sandboxes = false;
  server.OnLoop([&] {
    while (!server.factory().live().empty()) {
      server.factory().LoseIdleSandbox(server.factory().live().begin()->first);
    }
  });
  v1::RunCodeRequest request;
  request.mutable_program()->set_stdin(std::string(700'000, 'x'));
  grpc::ClientContext waiting_context, refused_context;
  v1::RunCodeResponse response, refused_response;
  absl::Notification answered;
  grpc::Status waiting;
  server.executions().async()->RunCode(&waiting_context, &request, &response,
                                       [&](grpc::Status status) {
                                         waiting = std::move(status);
                                         answered.Notify();
                                       });
  ASSERT_TRUE(server.WaitOnLoop([&] { return server.manager().active_count() == 1; }));
  const grpc::Status refused =
      server.executions().RunCode(&refused_context, request, &refused_response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonIn(refused), "OVERLOADED");
  EXPECT_THAT(refused.error_message(), HasSubstr("queue.maximum_bytes"));
  waiting_context.TryCancel();
  answered.WaitForNotification();
  EXPECT_EQ(waiting.error_code(), grpc::StatusCode::CANCELLED);
  ASSERT_TRUE(server.WaitOnLoop([&] { return server.request_memory().held_bytes() == 0; }));
}

// Cancellations at every moment of a call's life; whatever happens, each call ends and no execution
// is left.
TEST(RunCodeTest, SurvivesCancellationAtAnyMoment) {
  TestServer server(FinishAtOnce);
  for (int i = 0; i < 300; ++i) {
    grpc::ClientContext context;
    v1::RunCodeRequest request;
    request.mutable_program()->set_code(std::string(i * 50, 'x'));
    v1::RunCodeResponse response;
    absl::Notification done;
    server.executions().async()->RunCode(&context, &request, &response,
                                         [&done](const grpc::Status&) { done.Notify(); });
    for (int spin = 0; spin < (i % 50) * 200; ++spin) asm volatile("");
    context.TryCancel();
    done.WaitForNotification();
  }
  EXPECT_TRUE(server.WaitOnLoop([&] { return server.manager().active_count() == 0; }));
  EXPECT_TRUE(server.calls().WaitUntilQuiet());
}

TEST(RunCodeTest, RefusesOversizeMessages) {
  TestServer server(FinishAtOnce);
  v1::RunCodeRequest request;
  request.mutable_program()->set_stdin(std::string((80 << 20) + 1, 'x'));
  v1::RunCodeResponse response;
  grpc::ClientContext large, modest;
  EXPECT_EQ(server.executions().RunCode(&large, request, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  const grpc::Status after = server.executions().RunCode(&modest, {}, &response);
  EXPECT_TRUE(after.ok()) << after.error_message();
}

TEST(RunCodeTest, RefusesOversizeMetadata) {
  TestServer server(FinishAtOnce);
  v1::RunCodeResponse response;
  // The bound holds once the connection's settings are agreed on.
  grpc::ClientContext first, chatty, later;
  ASSERT_TRUE(server.executions().RunCode(&first, {}, &response).ok());
  chatty.AddMetadata("x-chatty", std::string(64 << 10, 'x'));
  EXPECT_EQ(server.executions().RunCode(&chatty, {}, &response).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  const auto other_client = v1::ExecutionService::NewStub(server.NewChannel());
  EXPECT_TRUE(other_client->RunCode(&later, {}, &response).ok());
}

TEST(RunCodeTest, ReturnsLargeOutputs) {
  const std::string piece(64 << 10, 'x');
  TestServer server([&piece](FakeSandbox& sandbox) {
    for (int i = 0; i < 256; ++i) sandbox.Write(piece);
    sandbox.Finish();
  });
  grpc::ClientContext context;
  v1::RunCodeResponse response;
  ASSERT_TRUE(server.executions().RunCode(&context, {}, &response).ok());
  EXPECT_EQ(response.stdout().size(), 256 * piece.size());
}

TEST(DrainTest, RefusesNewWorkAndLetsTheRunningFinish) {
  absl::Notification running;
  FakeSandbox* guest = nullptr;
  TestServer server([&](FakeSandbox& sandbox) {
    guest = &sandbox;
    running.Notify();
  });
  grpc::Status first_status;
  v1::RunCodeResponse first_response;
  std::thread first([&] {
    grpc::ClientContext context;
    first_status = server.executions().RunCode(&context, {}, &first_response);
  });
  running.WaitForNotification();
  absl::Notification drained;
  server.OnLoop(
      [&] { server.manager().Drain(absl::Seconds(30), [&drained] { drained.Notify(); }); });
  grpc::ClientContext context;
  v1::RunCodeResponse response;
  const grpc::Status refused = server.executions().RunCode(&context, {}, &response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonIn(refused), "SERVER_DRAINING");
  EXPECT_FALSE(drained.HasBeenNotified());
  server.OnLoop([&] { guest->Finish(); });
  first.join();
  EXPECT_TRUE(first_status.ok());
  drained.WaitForNotification();
}

TEST(HealthTest, SaysWhatItIsTold) {
  TestServer server(FinishAtOnce);
  using Response = grpc::health::v1::HealthCheckResponse;
  const auto check = [&server](const std::string& service) {
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    Response response;
    const grpc::Status status = server.health().Check(&context, request, &response);
    return status.ok() ? response.status() : Response::SERVICE_UNKNOWN;
  };
  for (const char* service : {"", "cloister.v1.ExecutionService"}) {
    EXPECT_EQ(check(service), Response::NOT_SERVING);
  }
  server.grpc_server().SetServing(true);
  for (const char* service : {"", "cloister.v1.ExecutionService"}) {
    EXPECT_EQ(check(service), Response::SERVING);
  }
  server.grpc_server().SetServing(false);
  EXPECT_EQ(check(""), Response::NOT_SERVING);
  EXPECT_EQ(check("no.such.Service"), Response::SERVICE_UNKNOWN);
}

TEST(InfoTest, AsksTheLoop) {
  TestServer server(FinishAtOnce);
  grpc::ClientContext context;
  v1::GetInfoResponse response;
  ASSERT_TRUE(server.info().GetInfo(&context, {}, &response).ok());
  EXPECT_EQ(response.version(), "for tests");
}

TEST(GrpcServerTest, NamesTheAddressItCannotBind) {
  TestServer server(FinishAtOnce);
  TestGate unused(nullptr, nullptr);
  auto first = rpc::GrpcServer::Start(&unused, {.listen = {"127.0.0.1:0"}, .reflection = false});
  ASSERT_TRUE(first.ok());
  const std::string taken = "127.0.0.1:" + std::to_string((*first)->ports()[0]);
  const auto second = rpc::GrpcServer::Start(&unused, {.listen = {taken}, .reflection = false});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(taken));
}

}  // namespace
}  // namespace cloister::testing
