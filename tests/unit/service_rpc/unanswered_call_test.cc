// Calls whose answer nobody got: the caller goes when what it asked for is just being made.

#include <functional>
#include <string>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "tests/unit/service_rpc/test_server.h"

namespace cloister::testing {
namespace {

class UnansweredCallTest : public ::testing::Test {
 protected:
  // Begins a call, stops the loop when `is_begun` holds there, has the caller go, and lets the loop
  // go on with `answer` before it hears of that.
  template <typename Begin>
  void GoBeforeTheAnswer(Begin begin, const std::function<bool()>& is_begun,
                         const std::function<void()>& answer) {
    grpc::ClientContext context;
    absl::Notification stopped, go_on, answered, gone;
    begin(&context, [&gone](const grpc::Status& status) {
      EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
      gone.Notify();
    });
    ASSERT_TRUE(server_.WaitOnLoop(is_begun));
    server_.loop().Post([&] {
      stopped.Notify();
      go_on.WaitForNotification();
      answer();
      answered.Notify();
    });
    stopped.WaitForNotification();
    context.TryCancel();
    gone.WaitForNotification();
    // What comes later on the same connection and needs no loop is answered when the server knows.
    grpc::ClientContext later;
    grpc::health::v1::HealthCheckResponse health;
    ASSERT_TRUE(server_.health().Check(&later, {}, &health).ok());
    go_on.Notify();
    answered.WaitForNotification();
  }

  FakeSandbox* WithSession() {
    for (const auto& [id, sandbox] : server_.factory().live()) {
      if (sandbox->session().has_value()) return sandbox;
    }
    return nullptr;
  }

  void GoWhileASandboxIsMade(const v1::CreateSandboxRequest& request) {
    server_.OnLoop([this] { server_.factory().answer_sessions = false; });
    v1::CreateSandboxResponse response;
    GoBeforeTheAnswer(
        [&](grpc::ClientContext* context, auto done) {
          server_.sandboxes().async()->CreateSandbox(context, &request, &response, done);
        },
        [this] { return WithSession() != nullptr; }, [this] { WithSession()->SayOpened(); });
  }

  void GoWhileItIsForked(const v1::ForkSandboxRequest& request) {
    v1::ForkSandboxResponse response;
    GoBeforeTheAnswer(
        [&](grpc::ClientContext* context, auto done) {
          server_.sandboxes().async()->ForkSandbox(context, &request, &response, done);
        },
        [this] { return WithSession()->fork().has_value(); },
        [this] { WithSession()->AnswerFork(); });
  }

  // Of live sandboxes.
  std::vector<std::string> List() {
    grpc::ClientContext context;
    v1::ListSandboxesResponse response;
    EXPECT_TRUE(server_.sandboxes().ListSandboxes(&context, {}, &response).ok());
    std::vector<std::string> names;
    for (const auto& sandbox : response.sandboxes()) names.push_back(sandbox.name());
    return names;
  }
  bool WaitForCount(size_t count) {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (absl::Now() < deadline) {
      if (List().size() == count) return true;
    }
    return false;
  }

  TestServer server_{[](FakeSandbox& sandbox) { sandbox.Finish(); }};
};

TEST_F(UnansweredCallTest, ASandboxIsEnded) {
  GoWhileASandboxIsMade({});
  EXPECT_TRUE(server_.calls().WaitUntilQuiet());
  EXPECT_TRUE(WaitForCount(0)) << List().front();
}

TEST_F(UnansweredCallTest, ASandboxThatCanBeAskedForAgainIsKept) {
  v1::CreateSandboxRequest request;
  request.set_request_id("again");
  GoWhileASandboxIsMade(request);
  EXPECT_TRUE(server_.calls().WaitUntilQuiet());
  grpc::ClientContext context;
  v1::CreateSandboxResponse response;
  const grpc::Status status = server_.sandboxes().CreateSandbox(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(List(), std::vector<std::string>{response.sandbox().name()});
}

TEST_F(UnansweredCallTest, ForksAreEnded) {
  v1::ForkSandboxRequest request;
  request.set_name(server_.MakeSandbox());
  request.set_count(3);
  GoWhileItIsForked(request);
  EXPECT_TRUE(WaitForCount(1)) << List().size();
}

TEST_F(UnansweredCallTest, ForksThatComeAfterTheEndOfTheCallAreEnded) {
  v1::ForkSandboxRequest request;
  request.set_name(server_.MakeSandbox());
  grpc::ClientContext context;
  v1::ForkSandboxResponse response;
  absl::Notification gone;
  server_.sandboxes().async()->ForkSandbox(&context, &request, &response,
                                           [&gone](const grpc::Status&) { gone.Notify(); });
  ASSERT_TRUE(server_.WaitOnLoop([this] { return WithSession()->fork().has_value(); }));
  context.TryCancel();
  gone.WaitForNotification();
  ASSERT_TRUE(server_.calls().WaitUntilQuiet()) << "the server knows as well";
  server_.OnLoop([this] { WithSession()->AnswerFork(); });
  EXPECT_TRUE(WaitForCount(1)) << List().size();
}

TEST_F(UnansweredCallTest, ForksThatCanBeAskedForAgainAreKept) {
  v1::ForkSandboxRequest request;
  request.set_name(server_.MakeSandbox());
  request.set_request_id("again");
  GoWhileItIsForked(request);
  EXPECT_TRUE(server_.calls().WaitUntilQuiet());
  grpc::ClientContext context;
  v1::ForkSandboxResponse response;
  ASSERT_TRUE(server_.sandboxes().ForkSandbox(&context, request, &response).ok());
  ASSERT_EQ(response.sandboxes_size(), 1);
  EXPECT_EQ(List().back(), response.sandboxes(0).name());
}

TEST_F(UnansweredCallTest, ASnapshotIsEnded) {
  v1::CreateSnapshotRequest request;
  request.set_sandbox(server_.MakeSandbox());
  v1::CreateSnapshotResponse response;
  GoBeforeTheAnswer(
      [&](grpc::ClientContext* context, auto done) {
        server_.sandboxes().async()->CreateSnapshot(context, &request, &response, done);
      },
      [this] { return WithSession()->fork().has_value(); },
      [this] { WithSession()->AnswerFork(); });
  EXPECT_TRUE(server_.WaitOnLoop([this] { return server_.forks().snapshot_count() == 0; }));
}

TEST_F(UnansweredCallTest, AnInterpreterIsEnded) {
  const std::string sandbox = server_.MakeSandbox();
  server_.OnLoop([this] { server_.factory().answer_interpreters = false; });
  v1::CreateInterpreterRequest request;
  request.set_sandbox(sandbox);
  v1::CreateInterpreterResponse response;
  GoBeforeTheAnswer(
      [&](grpc::ClientContext* context, auto done) {
        server_.interpreters().async()->CreateInterpreter(context, &request, &response, done);
      },
      [this] { return WithSession()->pending_interpreters() == 1; },
      [this] { WithSession()->AnswerInterpreter(); });
  EXPECT_TRUE(server_.WaitOnLoop(
      [this] { return WithSession()->interpreters().front()->ending != nullptr; }));
}

}  // namespace
}  // namespace cloister::testing
