// Zygotes: started, started again when they die, replaced when they are old.

#include "service/pool/zygote_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/service_pool/pool_fixture.h"

namespace cloister::pool {
namespace {

using ::testing::ElementsAre;

using ZygoteTest = PoolTest;

TEST_F(ZygoteTest, IsStartedOnceAndClonedFrom) {
  StartPool();
  ASSERT_EQ(factory_.zygotes().size(), 1u);
  for (const auto& [id, sandbox] : factory_.live()) {
    EXPECT_EQ(sandbox->zygote_id(), factory_.zygotes()[0]);
  }
}

TEST_F(ZygoteTest, FailedStartBacksOffAndRecovers) {
  factory_.zygote_error = absl::FailedPreconditionError("image missing; build it");
  StartPool();
  EXPECT_FALSE(pools_->Health().ok());
  EXPECT_NE(State().not_healthy_reason.find("image missing; build it"), std::string::npos);
  EXPECT_EQ(factory_.zygotes().size(), 1u);
  loop_.Advance(absl::Milliseconds(100));
  EXPECT_EQ(factory_.zygotes().size(), 2u);
  loop_.Advance(absl::Milliseconds(199));
  EXPECT_EQ(factory_.zygotes().size(), 2u);
  factory_.zygote_error = absl::OkStatus();
  loop_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(factory_.zygotes().size(), 3u);
  EXPECT_EQ(State().ready, 4);
  EXPECT_TRUE(pools_->Health().ok());
}

TEST_F(ZygoteTest, WhatTheTemplateAsksForInVainIsTriedSeldomAndRefusedAtOnce) {
  factory_.zygote_error = absl::InvalidArgumentError("warm-up: import jsonn: no such module");
  StartPool();
  EXPECT_NE(State().not_healthy_reason.find("jsonn"), std::string::npos);
  EXPECT_NE(State().not_healthy_reason.find("corrected"), std::string::npos);
  EXPECT_EQ(Ask()->reason(), v1::ERROR_REASON_SANDBOX_SETUP_FAILED);
  loop_.Advance(absl::Seconds(7));
  EXPECT_EQ(factory_.zygotes().size(), 1u);
  loop_.Advance(absl::Hours(1));
  EXPECT_LT(factory_.zygotes().size(), 15u);
  // The image was corrected.
  factory_.zygote_error = absl::OkStatus();
  loop_.Advance(absl::Minutes(10));
  EXPECT_TRUE(pools_->Health().ok());
}

TEST_F(ZygoteTest, OneThatStopsForkingIsReplaced) {
  StartPool();
  factory_.sandbox_error = absl::DeadlineExceededError("the sandbox was not ready within 10s");
  auto first = Ask();
  EXPECT_TRUE(first->granted());
  loop_.Advance(absl::Milliseconds(1));
  EXPECT_THAT(observer_.zygote_ends, ElementsAre(core::ZygoteEnd::kCrashed));
  EXPECT_NE(State().last_error.find("did not answer"), std::string::npos) << State().last_error;
  factory_.sandbox_error = absl::OkStatus();
  loop_.Advance(absl::Seconds(2));
  EXPECT_EQ(factory_.zygotes().size(), 2u);
  EXPECT_EQ(State().ready, 4);
}

TEST_F(ZygoteTest, OneThatOnlyForksSlowlyIsNot) {
  StartPool();
  factory_.answer_sandboxes = false;
  Ask();
  Ask();
  ASSERT_EQ(factory_.pending_sandboxes(), 2u);
  loop_.Advance(absl::Seconds(5));
  factory_.AnswerSandbox();
  factory_.sandbox_error = absl::DeadlineExceededError("the sandbox was not ready within 10s");
  loop_.Advance(absl::Seconds(5));
  factory_.AnswerSandbox();
  loop_.Run();
  EXPECT_TRUE(observer_.zygote_ends.empty());
}

TEST_F(ZygoteTest, OneThatIsKeptBusyByOthersIsNot) {
  StartPool();
  factory_.answer_sandboxes = false;
  Ask();
  loop_.Advance(absl::Seconds(5));
  factory_.CloneForOthers(factory_.zygotes()[0]);
  factory_.sandbox_error = absl::DeadlineExceededError("the sandbox was not ready within 10s");
  loop_.Advance(absl::Seconds(5));
  factory_.AnswerSandbox();
  loop_.Run();
  EXPECT_TRUE(observer_.zygote_ends.empty());
}

TEST_F(ZygoteTest, AWarmUpThatNeverEndsIsGivenUp) {
  factory_.answer_zygotes = false;
  StartPool();
  loop_.Advance(options_.zygote.start_timeout);
  EXPECT_NE(State().not_healthy_reason.find("warm-up took longer than 2m"), std::string::npos)
      << State().not_healthy_reason;
  loop_.Advance(absl::Milliseconds(100));
  EXPECT_EQ(factory_.zygotes().size(), 2u);
}

TEST_F(ZygoteTest, DeathTakesItsIdleSandboxesAlongAndAnotherFollows) {
  StartPool();
  auto waiting_for_new = [this] { return Ask(); };
  factory_.KillZygote(factory_.zygotes()[0], "signal 9");
  loop_.Run();
  EXPECT_EQ(State().ready, 0);
  EXPECT_FALSE(pools_->Health().ok());
  EXPECT_NE(State().last_error.find("signal 9"), std::string::npos);
  auto answer = waiting_for_new();
  EXPECT_TRUE(answer->pending());
  loop_.Advance(absl::Milliseconds(100));
  ASSERT_TRUE(answer->granted());
  EXPECT_EQ(State().ready, 4);
  EXPECT_TRUE(pools_->Health().ok());
  EXPECT_THAT(observer_.zygote_ends, ElementsAre(core::ZygoteEnd::kCrashed));
}

TEST_F(ZygoteTest, ForkThatFailsBecauseItsZygoteDiedDoesNotDelayTheNext) {
  factory_.answer_sandboxes = false;
  StartPool();
  factory_.KillZygote(factory_.zygotes()[0], "signal 9");
  factory_.sandbox_error = absl::UnavailableError("zygote lost");
  while (factory_.pending_sandboxes() > 0) factory_.AnswerSandbox();
  factory_.sandbox_error = absl::OkStatus();
  factory_.answer_sandboxes = true;
  loop_.Advance(absl::Milliseconds(100));
  EXPECT_EQ(State().ready, 4) << "the zygote's own back-off, not the forks' on top of it";
  EXPECT_NE(State().last_error.find("signal 9"), std::string::npos) << "the cause, not its echo";
}

TEST_F(ZygoteTest, OneThatForkedBeforeItDiedIsFollowedSoonEachTime) {
  StartPool();
  for (size_t deaths = 1; deaths <= 3; ++deaths) {
    factory_.KillZygote(factory_.zygotes().back(), "crash");
    loop_.Advance(absl::Milliseconds(100));
    EXPECT_EQ(factory_.zygotes().size(), deaths + 1);
  }
}

TEST_F(ZygoteTest, OneThatDiesBeforeItsFirstForkIsLeftAloneLongerEachTime) {
  factory_.answer_sandboxes = false;
  StartPool();
  factory_.KillZygote(factory_.zygotes().back(), "crash");
  loop_.Advance(absl::Milliseconds(100));
  ASSERT_EQ(factory_.zygotes().size(), 2u);
  factory_.KillZygote(factory_.zygotes().back(), "crash");
  loop_.Advance(absl::Milliseconds(199));
  EXPECT_EQ(factory_.zygotes().size(), 2u);
  loop_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(factory_.zygotes().size(), 3u);
}

TEST_F(ZygoteTest, IsReplacedAfterItsNumberOfForks) {
  options_.maximum_ready = 4;
  options_.zygote.maximum_forks = 10;
  StartPool();
  for (int i = 0; i < 6; ++i) Ask();
  ASSERT_EQ(factory_.zygotes().size(), 2u);
  EXPECT_THAT(factory_.stopped_zygotes(), ElementsAre(factory_.zygotes()[0]));
  EXPECT_THAT(observer_.zygote_ends, ElementsAre(core::ZygoteEnd::kRotated));
  for (const auto& [id, sandbox] : factory_.live()) {
    EXPECT_EQ(sandbox->zygote_id(), factory_.zygotes()[1]) << "idle ones were replaced";
  }
  EXPECT_EQ(State().ready, 4);
}

TEST_F(ZygoteTest, IsNotReplacedForReplacingItsOwnStock) {
  options_.zygote.maximum_forks = 1;
  StartPool();
  EXPECT_EQ(factory_.zygotes().size(), 1u);
  for (int i = 0; i < 12; ++i) Ask();
  EXPECT_EQ(factory_.zygotes().size(), 2u) << "after 16 forks, twice the stock of 8";
}

TEST_F(ZygoteTest, IsReplacedAfterItsTimeOnlyWhenTheNextIsWarm) {
  options_.zygote.maximum_age = absl::Hours(1);
  options_.maximum_age = absl::Hours(100);
  StartPool();
  factory_.answer_zygotes = false;
  loop_.Advance(absl::Hours(1));
  ASSERT_EQ(factory_.zygotes().size(), 2u);
  EXPECT_TRUE(factory_.stopped_zygotes().empty());
  EXPECT_TRUE(Ask()->granted());
  EXPECT_EQ(State().ready, 4) << "the old one still forks";
  factory_.create_time = absl::Milliseconds(5);
  factory_.AnswerZygote();
  EXPECT_THAT(factory_.stopped_zygotes(), ElementsAre(factory_.zygotes()[0]));
  EXPECT_EQ(State().ready, 4) << "the old one's sandboxes serve until there are new ones";
  loop_.Advance(absl::Milliseconds(10));
  EXPECT_EQ(State().ready, 4);
  EXPECT_EQ(observer_.CountRecycles(core::RecycleReason::kRotated), 4);
}

TEST_F(ZygoteTest, FailedReplacementKeepsTheOldOne) {
  options_.zygote.maximum_age = absl::Hours(1);
  StartPool();
  factory_.zygote_error = absl::FailedPreconditionError("image is gone");
  loop_.Advance(absl::Hours(1));
  EXPECT_TRUE(factory_.stopped_zygotes().empty());
  EXPECT_TRUE(Ask()->granted());
  EXPECT_TRUE(pools_->Health().ok());
  EXPECT_NE(State().last_error.find("image is gone"), std::string::npos);
  factory_.zygote_error = absl::OkStatus();
  loop_.Advance(absl::Seconds(2));
  EXPECT_EQ(factory_.stopped_zygotes().size(), 1u);
}

TEST_F(ZygoteTest, EndOfARotatedOneIsNoNews) {
  options_.zygote.maximum_age = absl::Hours(1);
  StartPool();
  loop_.Advance(absl::Hours(1));
  ASSERT_EQ(factory_.stopped_zygotes().size(), 1u);
  const size_t zygotes = factory_.zygotes().size();
  factory_.KillZygote(factory_.zygotes()[0], "");
  loop_.Run();
  EXPECT_EQ(factory_.zygotes().size(), zygotes);
  EXPECT_TRUE(pools_->Health().ok());
}

}  // namespace
}  // namespace cloister::pool
