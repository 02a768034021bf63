// Keeping sandboxes ready: how many, how old, and what happens when making them fails.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/service_pool/pool_fixture.h"

namespace cloister::pool {
namespace {

using RefillTest = PoolTest;

TEST_F(RefillTest, FillsToTheMinimumAfterTheStart) {
  StartPool();
  EXPECT_EQ(State().ready, 4);
  EXPECT_EQ(State().target, 4);
  EXPECT_TRUE(State().healthy);
  EXPECT_EQ(State().python_version, "3.14.10");
}

TEST_F(RefillTest, RefillsBesideTheRequest) {
  StartPool();
  factory_.create_time = absl::Milliseconds(5);
  auto answer = Ask();
  EXPECT_EQ(State().ready, 3);
  EXPECT_EQ(State().starting, 1);
  loop_.Advance(absl::Milliseconds(5));
  EXPECT_EQ(State().ready, 4);
}

TEST_F(RefillTest, WaitsForAPauseWhileTheStockLasts) {
  options_.refill_pause = absl::Milliseconds(20);
  StartPool();
  Ask();
  loop_.Advance(absl::Milliseconds(19));
  Ask();
  EXPECT_EQ(State().starting, 0);
  loop_.Advance(absl::Milliseconds(19));
  EXPECT_EQ(State().ready, 2) << "the pause begins anew with each request";
  loop_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(State().ready, 4);
}

TEST_F(RefillTest, MakesOneAtATimeWithAQuarterOfTheStock) {
  options_.refill_pause = absl::Milliseconds(20);
  StartPool();
  factory_.create_time = absl::Milliseconds(5);
  Ask();
  Ask();
  EXPECT_EQ(State().starting, 0);
  Ask();
  EXPECT_EQ(State().ready, 1);
  EXPECT_EQ(State().starting, 1);
  Ask();
  EXPECT_EQ(State().starting, 1) << "nobody waits for one yet";
  auto waiting = Ask();
  EXPECT_TRUE(waiting->pending());
  EXPECT_EQ(State().starting, 4);
  loop_.Advance(absl::Milliseconds(5));
  EXPECT_TRUE(waiting->granted());
}

TEST_F(RefillTest, MakesTheRestAtOnceWhenThePauseComes) {
  options_.refill_pause = absl::Milliseconds(20);
  StartPool();
  factory_.create_time = absl::Milliseconds(25);
  for (int i = 0; i < 4; ++i) Ask();
  EXPECT_EQ(State().starting, 1);
  loop_.Advance(absl::Milliseconds(25));
  EXPECT_EQ(State().ready, 1);
  EXPECT_EQ(State().starting, 3);
}

TEST_F(RefillTest, DoesNotWaitWhileSomebodyElseDoes) {
  options_.refill_pause = absl::Hours(1);
  options_.minimum_ready = 1;
  factory_.create_time = absl::Milliseconds(5);
  StartPool();
  loop_.Advance(absl::Milliseconds(5));
  Ask();
  auto second = Ask();
  EXPECT_TRUE(second->pending());
  loop_.Advance(absl::Milliseconds(5));
  EXPECT_TRUE(second->granted());
}

TEST_F(RefillTest, ForksNoMoreAtOnceThanAllowed) {
  options_.minimum_ready = 8;
  options_.maximum_starting = 3;
  factory_.answer_sandboxes = false;
  StartPool();
  EXPECT_EQ(factory_.pending_sandboxes(), 3u);
  factory_.AnswerSandbox();
  EXPECT_EQ(factory_.pending_sandboxes(), 3u);
  EXPECT_EQ(State().ready, 1);
}

TEST_F(RefillTest, KeepsMoreWhenMoreIsAskedForAndLessWhenItIsOver) {
  options_.maximum_ready = 64;
  options_.maximum = 256;
  StartPool();
  for (int i = 0; i < 200; ++i) {
    EXPECT_TRUE(Ask()->granted());
    loop_.Advance(absl::Milliseconds(10));
  }
  // About 100 per second, a fork that takes no time, a margin of 0.2 s.
  EXPECT_GT(State().target, 12);
  EXPECT_LT(State().target, 26);
  EXPECT_EQ(State().ready, State().target);
  loop_.Advance(absl::Minutes(3));
  EXPECT_LE(State().ready, 5) << "a quarter too many is left alone";
  EXPECT_GT(observer_.CountRecycles(core::RecycleReason::kScaleDown), 0);
}

TEST_F(RefillTest, NeverKeepsMoreReadyThanTheMaximum) {
  StartPool();
  for (int i = 0; i < 1000; ++i) Ask();
  loop_.Advance(absl::Milliseconds(200));
  EXPECT_EQ(State().target, 8);
  EXPECT_EQ(State().ready, 8);
}

TEST_F(RefillTest, FailedForksBackOffAndRecover) {
  factory_.sandbox_error = absl::InternalError("clone3: out of memory");
  StartPool();
  EXPECT_EQ(observer_.start_failures, 4) << "those that were tried at once";
  EXPECT_FALSE(State().healthy);
  EXPECT_EQ(State().last_error, "clone3: out of memory");

  loop_.Advance(absl::Milliseconds(99));
  EXPECT_EQ(observer_.start_failures, 4);
  loop_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(observer_.start_failures, 5) << "one at a time from now on";
  loop_.Advance(absl::Milliseconds(199));
  EXPECT_EQ(observer_.start_failures, 5);
  loop_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(observer_.start_failures, 6);

  factory_.sandbox_error = absl::OkStatus();
  loop_.Advance(absl::Milliseconds(400));
  EXPECT_EQ(State().ready, 4);
  EXPECT_TRUE(State().healthy);
  EXPECT_EQ(State().last_error, "clone3: out of memory") << "remembered";
}

TEST_F(RefillTest, BackOffStaysBelowItsMaximum) {
  factory_.sandbox_error = absl::InternalError("x");
  StartPool();
  loop_.Advance(absl::Minutes(1));
  const int before = observer_.start_failures;
  loop_.Advance(absl::Seconds(10));
  EXPECT_EQ(observer_.start_failures, before + 10);
}

TEST_F(RefillTest, RequestsDoNotShortenTheBackOff) {
  factory_.sandbox_error = absl::InternalError("x");
  StartPool();
  const int before = observer_.start_failures;
  Ask();
  Ask();
  EXPECT_EQ(observer_.start_failures, before);
}

TEST_F(RefillTest, ReadyOnesKeepThePoolHealthyWhileForksFail) {
  StartPool();
  factory_.sandbox_error = absl::InternalError("x");
  EXPECT_TRUE(Ask()->granted());
  EXPECT_TRUE(State().healthy);
  for (int i = 0; i < 3; ++i) Ask();
  EXPECT_FALSE(State().healthy);
  EXPECT_NE(State().not_healthy_reason.find("python"), std::string::npos);
}

TEST_F(RefillTest, OldOnesAreReplacedAndTheStockStays) {
  options_.maximum_age = absl::Seconds(300);
  StartPool();
  const int64_t youngest = factory_.live().rbegin()->first;
  factory_.create_time = absl::Milliseconds(5);
  for (int i = 0; i < 310; ++i) {
    loop_.Advance(absl::Seconds(1));
    EXPECT_GE(State().ready, 4) << "old ones go when new ones are there";
  }
  EXPECT_EQ(State().ready, 4);
  EXPECT_GT(factory_.live().begin()->first, youngest);
  EXPECT_EQ(observer_.CountRecycles(core::RecycleReason::kAge), 4);
}

TEST_F(RefillTest, OldOnesMakeRoomFirstWhereThereIsNone) {
  options_.maximum = 4;
  StartPool();
  loop_.Advance(absl::Seconds(301));
  EXPECT_EQ(State().ready, 4);
  EXPECT_EQ(observer_.CountRecycles(core::RecycleReason::kAge), 4);
}

TEST_F(RefillTest, LostIdleOnesAreReplacedButNotInABusyCircle) {
  StartPool();
  const int64_t lost = factory_.live().begin()->first;
  factory_.LoseIdleSandbox(lost);
  loop_.Run();
  EXPECT_EQ(factory_.live().count(lost), 0u) << "its object is destroyed";
  EXPECT_EQ(State().ready, 3);
  loop_.Advance(absl::Milliseconds(100));
  EXPECT_EQ(State().ready, 4);
  EXPECT_EQ(observer_.CountRecycles(core::RecycleReason::kLost), 1);
}

TEST_F(RefillTest, DiscardedOnesCountUntilNothingIsLeftOfThem) {
  StartPool();
  factory_.report_gone = false;
  factory_.LoseIdleSandbox(factory_.live().begin()->first);
  EXPECT_EQ(State().recycling, 1);
  EXPECT_EQ(State().leased, 0);
  factory_.ReportGone();
  EXPECT_EQ(State().recycling, 0);
}

}  // namespace
}  // namespace cloister::pool
