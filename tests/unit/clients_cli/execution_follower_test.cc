#include "cloister/client/execution_follower.h"

#include "cloister/client/channel.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/clients_cli/fake_execution_service.h"

namespace cloister::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const grpc::Status kCut(grpc::StatusCode::UNAVAILABLE, "Socket closed");

class ExecutionFollowerTest : public testing::Test {
 protected:
  ExecutionFollowerTest()
      : stub_(v1::ExecutionService::NewStub(CreateChannel(service_.address()))),
        follower_(stub_.get(), {absl::Milliseconds(1), absl::Milliseconds(4), 3}) {}

  ExecutionFollower::EventCallback Record() {
    return [this](const v1::ExecutionEvent& event) {
      sequences_.push_back(event.sequence());
      if (event.has_stdout()) output_ += event.stdout();
    };
  }

  FakeExecutionService service_;
  std::unique_ptr<v1::ExecutionService::Stub> stub_;
  ExecutionFollower follower_;
  std::vector<int64_t> sequences_;
  std::string output_;
};

TEST_F(ExecutionFollowerTest, DeliversAnUnbrokenStream) {
  service_.execute.events = {StartedEvent(), StdoutEvent(2, "a"),
                             FinishedEvent(3, v1::Outcome::KIND_SUCCEEDED)};
  EXPECT_TRUE(follower_.Execute({}, Record()).ok());
  EXPECT_THAT(sequences_, ElementsAre(1, 2, 3));
  EXPECT_EQ(follower_.execution(), kFakeExecution);
  EXPECT_THAT(service_.attached_after(), IsEmpty());
}

TEST_F(ExecutionFollowerTest, AttachesBehindTheLastEventSeen) {
  service_.execute = {{StartedEvent(), StdoutEvent(2, "a")}, kCut};
  service_.attaches = {{{StdoutEvent(3, "b")}, kCut},
                       {{}, kCut},
                       {{StdoutEvent(4, "c"), FinishedEvent(5, v1::Outcome::KIND_SUCCEEDED)}}};
  int losses = 0;
  follower_.set_on_lost([&](const grpc::Status&, absl::Duration) { ++losses; });
  EXPECT_TRUE(follower_.Execute({}, Record()).ok());
  EXPECT_EQ(output_, "abc");
  EXPECT_THAT(service_.attached_after(), ElementsAre(2, 3, 3));
  EXPECT_EQ(losses, 3);
}

TEST_F(ExecutionFollowerTest, ReplayedEventsAndKeepAlivesAreNotDeliveredAgain) {
  v1::ExecutionEvent keep_alive;
  keep_alive.mutable_keep_alive();
  service_.execute = {{StartedEvent(), StdoutEvent(2, "a")}, kCut};
  service_.attaches = {{{StartedEvent(), StdoutEvent(2, "a"), keep_alive, StdoutEvent(3, "b"),
                         FinishedEvent(4, v1::Outcome::KIND_SUCCEEDED)}}};
  EXPECT_TRUE(follower_.Execute({}, Record()).ok());
  EXPECT_THAT(sequences_, ElementsAre(1, 2, 3, 4));
}

TEST_F(ExecutionFollowerTest, AStreamThatEndsWellWithoutFinishedIsLost) {
  service_.execute = {{StartedEvent()}};
  service_.attaches = {{{FinishedEvent(2, v1::Outcome::KIND_INTERRUPTED)}}};
  EXPECT_TRUE(follower_.Execute({}, Record()).ok());
  EXPECT_THAT(service_.attached_after(), ElementsAre(1));
}

TEST_F(ExecutionFollowerTest, GivesUpAfterEnoughAttempts) {
  service_.execute = {{StartedEvent()}, kCut};
  service_.attaches = {{{}, kCut}, {{}, kCut}, {{}, kCut}, {{}, kCut}};
  EXPECT_EQ(follower_.Execute({}, Record()).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(service_.attached_after().size(), 3u);
}

TEST_F(ExecutionFollowerTest, BeforeStartedNothingIsRetried) {
  service_.execute = {{}, kCut};
  EXPECT_EQ(follower_.Execute({}, Record()).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(service_.attached_after(), IsEmpty());
}

TEST_F(ExecutionFollowerTest, AnAnswerOfTheServiceIsFinal) {
  service_.execute = {{StartedEvent()}, kCut};
  service_.attaches = {};  // EXECUTION_NOT_FOUND
  EXPECT_EQ(follower_.Execute({}, Record()).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(service_.attached_after().size(), 1u);
}

TEST_F(ExecutionFollowerTest, CancelInsideTheCallbackStops) {
  service_.execute = {{StartedEvent()}, grpc::Status::OK, false, /*until_cancelled=*/true};
  const grpc::Status status =
      follower_.Execute({}, [&](const v1::ExecutionEvent&) { follower_.Cancel(); });
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_THAT(service_.attached_after(), IsEmpty());
}

TEST_F(ExecutionFollowerTest, AttachFollowsFromWhereItIsTold) {
  service_.attaches = {{{StdoutEvent(8, "x")}, kCut},
                       {{FinishedEvent(9, v1::Outcome::KIND_SUCCEEDED)}}};
  EXPECT_TRUE(follower_.Attach(kFakeExecution, 7, Record()).ok());
  EXPECT_THAT(service_.attached_after(), ElementsAre(7, 8));
  EXPECT_THAT(sequences_, ElementsAre(8, 9));
}

TEST_F(ExecutionFollowerTest, AttachToAnAbsentServerDoesNotWait) {
  service_.StopServing();
  int losses = 0;
  follower_.set_on_lost([&](const grpc::Status&, absl::Duration) { ++losses; });
  EXPECT_EQ(follower_.Attach(kFakeExecution, 0, Record()).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(losses, 0);
}

}  // namespace
}  // namespace cloister::client
