// Asking for a sandbox: who gets which, who waits, and what is said to those who get none.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/unit/service_pool/pool_fixture.h"

namespace cloister::pool {
namespace {

using ::testing::ElementsAre;

using LeaseTest = PoolTest;

TEST_F(LeaseTest, ReadyOneIsWarmAndGivenOnTheNextTurn) {
  StartPool();
  auto answer = AskWithoutRunning();
  EXPECT_TRUE(answer->pending()) << "never inline";
  loop_.Run();
  ASSERT_TRUE(answer->granted());
  EXPECT_EQ(answer->start_kind(), v1::START_KIND_WARM);
  EXPECT_EQ((*answer->lease)->waited, absl::ZeroDuration());
  EXPECT_THAT(observer_.admissions, ElementsAre(core::Admission::kAccept));
}

TEST_F(LeaseTest, OldestReadyOneGoesFirst) {
  StartPool();
  const int64_t oldest = factory_.live().begin()->first;
  EXPECT_EQ(Ask()->sandbox_id(), oldest);
}

TEST_F(LeaseTest, NoSandboxIsEverGivenTwice) {
  StartPool();
  std::set<int64_t> seen;
  for (int i = 0; i < 100; ++i) {
    auto answer = Ask();
    ASSERT_TRUE(answer->granted());
    EXPECT_TRUE(seen.insert(answer->sandbox_id()).second);
  }
}

TEST_F(LeaseTest, OneMadeAfterTheRequestCameIsCold) {
  factory_.create_time = absl::Milliseconds(5);
  StartPool();
  auto answer = Ask();
  EXPECT_TRUE(answer->pending());
  loop_.Advance(absl::Milliseconds(5));
  ASSERT_TRUE(answer->granted());
  EXPECT_EQ(answer->start_kind(), v1::START_KIND_COLD);
  EXPECT_EQ((*answer->lease)->waited, absl::Milliseconds(5));
  EXPECT_THAT(observer_.admissions, ElementsAre(core::Admission::kQueue));
}

TEST_F(LeaseTest, BurstIsServedInOrderWarmFirstThenCold) {
  options_.maximum_waiting = 100;
  StartPool();
  factory_.create_time = absl::Milliseconds(5);
  std::vector<std::shared_ptr<Answer>> answers;
  for (int i = 0; i < 10; ++i) answers.push_back(AskWithoutRunning());
  loop_.Run();
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(answers[i]->granted()) << i;
    EXPECT_EQ(answers[i]->start_kind(), v1::START_KIND_WARM);
  }
  for (int i = 4; i < 10; ++i) EXPECT_TRUE(answers[i]->pending()) << i;
  loop_.Advance(absl::Milliseconds(5));
  for (int i = 4; i < 8; ++i) EXPECT_TRUE(answers[i]->granted()) << "four forks at once";
  EXPECT_TRUE(answers[8]->pending());
  loop_.Advance(absl::Milliseconds(5));
  for (int i = 4; i < 10; ++i) {
    ASSERT_TRUE(answers[i]->granted()) << i;
    EXPECT_EQ(answers[i]->start_kind(), v1::START_KIND_COLD);
    EXPECT_GT(answers[i]->sandbox_id(), answers[i - 1]->sandbox_id());
  }
}

TEST_F(LeaseTest, FullQueueRefusesAtOnceAndSaysWhenToComeBack) {
  factory_.answer_sandboxes = false;
  StartPool();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(AskWithoutRunning()->pending());
  auto refused = AskWithoutRunning();
  EXPECT_EQ(refused->reason(), v1::ERROR_REASON_OVERLOADED);
  EXPECT_GE(core::RetryDelayOf(refused->lease->status()), absl::Milliseconds(100));
  EXPECT_EQ(observer_.admissions.back(), core::Admission::kShed);
}

TEST_F(LeaseTest, ReadyOnesDoNotCountAgainstTheQueue) {
  StartPool();
  factory_.answer_sandboxes = false;
  std::vector<std::shared_ptr<Answer>> answers;
  for (int i = 0; i < 8; ++i) answers.push_back(AskWithoutRunning());  // in one turn
  EXPECT_TRUE(answers[6]->pending()) << "four ready ones and three places";
  EXPECT_EQ(answers[7]->reason(), v1::ERROR_REASON_OVERLOADED);
}

TEST_F(LeaseTest, WaitingTooLongIsPoolExhausted) {
  options_.maximum = 4;
  StartPool();
  std::vector<std::shared_ptr<Answer>> held;
  for (int i = 0; i < 4; ++i) held.push_back(Ask());
  auto answer = Ask();
  loop_.Advance(absl::Seconds(10) - absl::Nanoseconds(1));
  EXPECT_TRUE(answer->pending());
  loop_.Advance(absl::Nanoseconds(1));
  EXPECT_EQ(answer->reason(), v1::ERROR_REASON_POOL_EXHAUSTED);
  EXPECT_TRUE(core::RetryDelayOf(answer->lease->status()).has_value());
  EXPECT_THAT(observer_.failures, ElementsAre(core::LeaseFailure::kExhausted));
}

TEST_F(LeaseTest, CallersDeadlineInTheQueueIsNotStarted) {
  factory_.answer_sandboxes = false;
  StartPool();
  auto patient = Ask(absl::Seconds(5));
  auto hasty = Ask(absl::Seconds(1));
  loop_.Advance(absl::Seconds(1));
  EXPECT_EQ(hasty->reason(), v1::ERROR_REASON_NOT_STARTED);
  EXPECT_TRUE(patient->pending()) << "each has a deadline of its own";
  loop_.Advance(absl::Seconds(4));
  EXPECT_EQ(patient->reason(), v1::ERROR_REASON_NOT_STARTED);
  EXPECT_THAT(observer_.failures,
              ElementsAre(core::LeaseFailure::kDeadline, core::LeaseFailure::kDeadline));
}

TEST_F(LeaseTest, PassedDeadlineIsRefusedAtOnceEvenWhenOneIsReady) {
  StartPool();
  EXPECT_EQ(AskWithoutRunning(absl::ZeroDuration())->reason(), v1::ERROR_REASON_NOT_STARTED);
  EXPECT_EQ(State().ready, 4);
}

TEST_F(LeaseTest, WaitingTooLongForWhatCannotBeMadeIsSetupFailed) {
  factory_.sandbox_error = absl::InternalError("clone3: EAGAIN");
  StartPool();
  auto answer = Ask();
  loop_.Advance(absl::Seconds(10));
  EXPECT_EQ(answer->reason(), v1::ERROR_REASON_SANDBOX_SETUP_FAILED);
  EXPECT_THAT(observer_.failures, ElementsAre(core::LeaseFailure::kSetup));
}

TEST_F(LeaseTest, AbandonedRequestTakesNothing) {
  factory_.answer_sandboxes = false;
  StartPool();
  auto first = Ask();
  auto second = Ask();
  pools_->AbandonRequest(first->ticket);
  pools_->AbandonRequest(first->ticket);
  factory_.AnswerSandbox();
  loop_.Run();
  EXPECT_TRUE(first->pending());
  EXPECT_TRUE(second->granted());
  EXPECT_THAT(observer_.failures, ElementsAre(core::LeaseFailure::kAbandoned));
}

TEST_F(LeaseTest, ServedOnesLeaveNoTimerBehind) {
  StartPool();
  const size_t timers = loop_.timer_count();
  factory_.answer_sandboxes = false;
  auto warm = Ask();
  EXPECT_EQ(loop_.timer_count(), timers);
  pools_->AbandonRequest(warm->ticket);
  for (int i = 0; i < 3; ++i) Ask();
  auto waiting = Ask();
  EXPECT_EQ(loop_.timer_count(), timers + 1);
  factory_.AnswerSandbox();
  EXPECT_TRUE(waiting->granted());
  EXPECT_EQ(loop_.timer_count(), timers);
}

TEST_F(LeaseTest, UnknownTemplateNamesTheKnown) {
  StartPool();
  auto answer = AskWithoutRunning(absl::InfiniteDuration(), "ruby");
  EXPECT_EQ(answer->reason(), v1::ERROR_REASON_TEMPLATE_UNKNOWN);
  EXPECT_EQ(core::MetadataOf(answer->lease->status(), "template"), "ruby");
  EXPECT_EQ(core::MetadataOf(answer->lease->status(), "known"), "python");
}

TEST_F(LeaseTest, LeasedOnesCountUntilNothingIsLeftOfThem) {
  options_.maximum = 4;
  StartPool();
  factory_.report_gone = false;
  std::vector<std::shared_ptr<Answer>> held;
  for (int i = 0; i < 4; ++i) held.push_back(Ask());
  EXPECT_EQ(State().leased, 4);
  auto waiting = Ask();
  held[0]->Drop();
  loop_.Run();
  EXPECT_TRUE(waiting->pending()) << "destroyed, but not gone yet";
  factory_.ReportGone();
  loop_.Run();
  EXPECT_TRUE(waiting->granted());
}

}  // namespace
}  // namespace cloister::pool
