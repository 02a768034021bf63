// The events of one execution, in the streaming mode of Execute: numbering, several readers, and the
// watermarks at which a slow reader stops and releases the guest.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/service_core/core_fixture.h"

namespace cloister::core {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kPiece = 1000 - EventLog::kEventOverhead;  // costs 1000 with its overhead

// One reader's text so far.
std::string ReadStdout(Subscription& subscription, int64_t bytes) {
  std::string text;
  const std::vector<v1::ExecutionEvent> events = subscription.Read(bytes).value();
  for (const v1::ExecutionEvent& event : events) text += event.stdout();
  return text;
}

class ExecutionStreamTest : public CoreTest {
 protected:
  void StartStream(OnDisconnect on_disconnect = OnDisconnect::kInterrupt) {
    ExecutionRequest request = Request(ExecutionMode::kStream);
    request.on_disconnect = on_disconnect;
    execution_ = Start(std::move(request));
    owner_ = Own(*execution_);
    sandbox_ = source_.Grant();
  }

  // Writes `count` pieces that cost 1000 each.
  void WritePieces(int count) {
    for (int i = 0; i < count; ++i) sandbox_->Write(std::string(kPiece, 'x'));
  }

  std::shared_ptr<Execution> execution_;
  std::unique_ptr<Subscription> owner_;
  testing::FakeSandbox* sandbox_ = nullptr;
};

TEST_F(ExecutionStreamTest, StartsWithStartedAndEndsWithOneFinished) {
  StartStream();
  sandbox_->Write("out");
  sandbox_->Write("err", sandbox::OutputStream::kStderr);
  sandbox::ExecutionEnd end;
  end.outcome.set_kind(v1::Outcome::KIND_EXITED);
  end.files.emplace_back().set_path("a.txt");
  sandbox_->Finish(std::move(end));

  EXPECT_FALSE(owner_->AtEnd());
  const auto events = owner_->Read(kEverything).value();
  EXPECT_TRUE(owner_->AtEnd());
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].started().execution(), execution_->name());
  EXPECT_EQ(events[0].started().start_kind(), v1::START_KIND_WARM);
  EXPECT_EQ(events[0].started().effective_limits().open_file_count(), 256);
  EXPECT_EQ(events[1].stdout(), "out");
  EXPECT_EQ(events[2].stderr(), "err");
  EXPECT_EQ(events[3].finished().outcome().kind(), v1::Outcome::KIND_EXITED);
  EXPECT_EQ(events[3].finished().files(0).path(), "a.txt");
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].sequence(), static_cast<int64_t>(i) + 1);
    EXPECT_TRUE(events[i].has_time());
  }
}

TEST_F(ExecutionStreamTest, TellsReadersOfEveryPiece) {
  StartStream();
  const int before = listener_.progress;
  sandbox_->Write("a");
  sandbox_->Write("b");
  EXPECT_EQ(listener_.progress, before + 2);
  sandbox_->Finish();
  EXPECT_EQ(listener_.progress, before + 3);
}

TEST_F(ExecutionStreamTest, SlowOwnerPausesTheGuestAndHalfOfItResumes) {
  StartStream();
  owner_->Read(kEverything).value();  // the started event
  WritePieces(4);
  EXPECT_FALSE(sandbox_->output_paused()) << "at the watermark, not past it";
  WritePieces(1);
  EXPECT_TRUE(sandbox_->output_paused());
  EXPECT_EQ(observer_.stalls, 1);
  owner_->Read(2000).value();
  EXPECT_TRUE(sandbox_->output_paused()) << "3,000 of 4,000 are left";
  owner_->Read(1000).value();
  EXPECT_FALSE(sandbox_->output_paused()) << "half is left";
  sandbox_->Finish();
}

TEST_F(ExecutionStreamTest, NothingUnreadIsDroppedHoweverMuchFollows) {
  StartStream();
  WritePieces(50);  // far past what is retained; a real sandbox would have paused
  sandbox_->Finish();
  const auto events = owner_->Read(kEverything).value();
  ASSERT_EQ(events.size(), 52u);
  EXPECT_EQ(events.front().sequence(), 1);
}

TEST_F(ExecutionStreamTest, TheEndDoesNotPauseWhatHasEnded) {
  StartStream();
  sandbox::ExecutionEnd end;
  end.files.emplace_back().set_content(std::string(100'000, 'x'));
  sandbox_->Finish(std::move(end));
  EXPECT_EQ(observer_.stalls, 0);
}

TEST_F(ExecutionStreamTest, SlowFollowerHoldsNobodyUpAndLosesEvents) {
  StartStream();
  CountingListener listener;
  auto follower = manager_.Attach(execution_->name(), 0, &listener).value();
  for (int i = 0; i < 20; ++i) {
    WritePieces(1);
    owner_->Read(kEverything).value();
  }
  EXPECT_EQ(sandbox_->pause_count(), 0);
  EXPECT_EQ(ReasonOf(follower->Read(kEverything).status()), v1::ERROR_REASON_EVENTS_EXPIRED);
  sandbox_->Finish();
}

TEST_F(ExecutionStreamTest, FollowerReplaysThenFollowsFromItsNumber) {
  StartStream();
  sandbox_->Write("one");
  sandbox_->Write("two");
  CountingListener listener;
  auto follower = manager_.Attach(execution_->name(), 2, &listener).value();
  EXPECT_EQ(ReadStdout(*follower, kEverything), "two");
  EXPECT_EQ(ReadStdout(*follower, kEverything), "");
  sandbox_->Write("three");
  EXPECT_EQ(listener.progress, 1);
  EXPECT_EQ(ReadStdout(*follower, kEverything), "three");
  sandbox_->Finish();
  EXPECT_THAT(observer_.reattaches, ElementsAre(ReattachResult::kAttached));
}

TEST_F(ExecutionStreamTest, FollowerThatLeavesChangesNothing) {
  StartStream();
  CountingListener listener;
  manager_.Attach(execution_->name(), 0, &listener).value().reset();
  EXPECT_TRUE(sandbox_->stops().empty());
  sandbox_->Finish();
}

TEST_F(ExecutionStreamTest, UnwatchedRunsAheadByWhatIsRetainedThenWaits) {
  StartStream(OnDisconnect::kDetach);
  owner_.reset();
  WritePieces(7);
  EXPECT_FALSE(sandbox_->output_paused());
  WritePieces(2);
  EXPECT_TRUE(sandbox_->output_paused());

  CountingListener listener;
  auto follower = manager_.Attach(execution_->name(), 0, &listener).value();
  follower->Read(6000).value();
  EXPECT_FALSE(sandbox_->output_paused()) << "the foremost reader sets the pace";
  sandbox_->Finish();
}

TEST_F(ExecutionStreamTest, LeavingOwnerLetsADetachedGuestGoOn) {
  StartStream(OnDisconnect::kDetach);
  owner_->Read(kEverything).value();
  WritePieces(5);
  ASSERT_TRUE(sandbox_->output_paused());
  owner_.reset();
  EXPECT_TRUE(sandbox_->output_paused()) << "5,000 is more than half of the 8,000 retained";
  CountingListener listener;
  auto follower = manager_.Attach(execution_->name(), 1, &listener).value();
  follower->Read(1000).value();
  EXPECT_FALSE(sandbox_->output_paused());
  sandbox_->Finish();
}

TEST_F(ExecutionStreamTest, AttachingTooLateIsRefusedWithTheFirstNumber) {
  StartStream();
  for (int i = 0; i < 20; ++i) {
    WritePieces(1);
    owner_->Read(kEverything).value();
  }
  CountingListener listener;
  const absl::Status error = manager_.Attach(execution_->name(), 0, &listener).status();
  EXPECT_EQ(ReasonOf(error), v1::ERROR_REASON_EVENTS_EXPIRED);
  EXPECT_EQ(MetadataOf(error, "firstSequence"), "14");
  EXPECT_THAT(observer_.reattaches, ElementsAre(ReattachResult::kExpired));
  EXPECT_TRUE(sandbox_->stops().empty()) << "nobody left";
  sandbox_->Finish();
}

TEST_F(ExecutionStreamTest, BufferedBytesAddUpToNothingInTheEnd) {
  StartStream();
  WritePieces(3);
  EXPECT_EQ(observer_.buffered, 3000 + EventLog::kEventOverhead);
  sandbox_->Finish();
  owner_.reset();
  execution_.reset();
  loop_.Advance(absl::Seconds(61));
  EXPECT_EQ(observer_.buffered, 0);
}

}  // namespace
}  // namespace cloister::core
