// Names, repetition, retention and drain.

#include "service/core/execution_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/service_core/core_fixture.h"

namespace cloister::core {
namespace {

using ::testing::ElementsAre;

using ExecutionManagerTest = CoreTest;

TEST_F(ExecutionManagerTest, FindsRunningExecutionsByName) {
  auto execution = Start(Request(ExecutionMode::kCollect));
  EXPECT_EQ(execution->name().substr(0, 11), "executions/");
  EXPECT_EQ(manager_.Find(execution->name()).value(), execution);
  EXPECT_EQ(ReasonOf(manager_.Find("executions/none").status()),
            v1::ERROR_REASON_EXECUTION_NOT_FOUND);
}

TEST_F(ExecutionManagerTest, RefusalOfTheSourceStartsNothing) {
  source_.refusal = MakeError(v1::ERROR_REASON_OVERLOADED, "full");
  const auto refused = manager_.Start(Request(ExecutionMode::kCollect, "id"));
  EXPECT_EQ(ReasonOf(refused.status()), v1::ERROR_REASON_OVERLOADED);
  EXPECT_EQ(manager_.active_count(), 0);
  EXPECT_EQ(observer_.accepted, 0);
  source_.refusal = absl::OkStatus();
  EXPECT_TRUE(manager_.Start(Request(ExecutionMode::kCollect, "id")).ok());
}

TEST_F(ExecutionManagerTest, SameRequestIdJoinsTheSameExecution) {
  auto first = Start(Request(ExecutionMode::kCollect, "id", "digest"));
  EXPECT_EQ(Start(Request(ExecutionMode::kCollect, "id", "digest")), first);
  source_.Grant()->Finish();
  EXPECT_EQ(Start(Request(ExecutionMode::kCollect, "id", "digest")), first);
  EXPECT_TRUE(source_.pending.empty()) << "ran once";
  EXPECT_THAT(observer_.replays, ElementsAre(ReplayResult::kJoined, ReplayResult::kJoined));
}

TEST_F(ExecutionManagerTest, SameRequestIdWithAnotherPayloadIsRefused) {
  Start(Request(ExecutionMode::kCollect, "id", "digest"));
  const auto reused = manager_.Start(Request(ExecutionMode::kCollect, "id", "other"));
  EXPECT_EQ(ReasonOf(reused.status()), v1::ERROR_REASON_REQUEST_ID_REUSED);
  EXPECT_THAT(observer_.replays, ElementsAre(ReplayResult::kReused));
}

TEST_F(ExecutionManagerTest, EmptyRequestIdsAreNotTheSame) {
  EXPECT_NE(Start(Request(ExecutionMode::kCollect)), Start(Request(ExecutionMode::kCollect)));
}

TEST_F(ExecutionManagerTest, WhatCouldNotRunMayBeTriedAgainUnderItsId) {
  auto first = Start(Request(ExecutionMode::kCollect, "id", "digest"));
  source_.Refuse(MakeError(v1::ERROR_REASON_POOL_EXHAUSTED, "none"));
  EXPECT_NE(Start(Request(ExecutionMode::kCollect, "id", "digest")), first);
}

TEST_F(ExecutionManagerTest, RepetitionReadsAStreamFromItsFirstRetainedEvent) {
  auto first = Start(Request(ExecutionMode::kStream, "id", "digest"));
  auto owner = Own(*first);
  source_.Grant()->Finish();
  owner->Read(kEverything).value();
  auto repeated = Start(Request(ExecutionMode::kStream, "id", "digest"));
  const auto events = Own(*repeated)->Read(kEverything).value();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_TRUE(events[0].has_started());
  EXPECT_TRUE(events[1].has_finished());
}

TEST_F(ExecutionManagerTest, ForgetsEndedOnesAfterTheRetentionTime) {
  auto execution = Start(Request(ExecutionMode::kStream, "id", "digest"));
  source_.Grant()->Finish();
  loop_.Advance(absl::Seconds(60) - absl::Nanoseconds(1));
  EXPECT_TRUE(manager_.Find(execution->name()).ok());
  loop_.Advance(absl::Nanoseconds(1));
  EXPECT_FALSE(manager_.Find(execution->name()).ok());
  EXPECT_NE(Start(Request(ExecutionMode::kStream, "id", "digest")), execution);
  EXPECT_EQ(loop_.timer_count(), 0u) << "nothing left to expire";
}

TEST_F(ExecutionManagerTest, ForgetsTheOldestPastTheCount) {
  std::vector<std::string> names;
  for (int i = 0; i < 4; ++i) {
    names.push_back(Start(Request(ExecutionMode::kStream))->name());
    source_.Grant()->Finish();
  }
  EXPECT_FALSE(manager_.Find(names[0]).ok());
  for (int i = 1; i < 4; ++i) EXPECT_TRUE(manager_.Find(names[i]).ok());
}

TEST_F(ExecutionManagerTest, ForgetsTheOldestPastTheBytes) {
  std::vector<std::string> names;
  for (int i = 0; i < 2; ++i) {
    names.push_back(
        Start(Request(ExecutionMode::kCollect, "id" + std::to_string(i)))->name());
    testing::FakeSandbox* sandbox = source_.Grant();
    sandbox->Write(std::string(600'000, 'x'));
    sandbox->Finish();
  }
  EXPECT_FALSE(manager_.Find(names[0]).ok());
  EXPECT_TRUE(manager_.Find(names[1]).ok());
}

TEST_F(ExecutionManagerTest, KeepsNothingOfWhatNobodyCanAskForAgain) {
  auto execution = Start(Request(ExecutionMode::kCollect));
  source_.Grant()->Finish();
  EXPECT_FALSE(manager_.Find(execution->name()).ok());
  EXPECT_EQ(execution.use_count(), 1);
}

TEST_F(ExecutionManagerTest, ThereIsNothingToAttachToInRunCode) {
  auto execution = Start(Request(ExecutionMode::kCollect, "id"));
  EXPECT_EQ(ReasonOf(manager_.Attach(execution->name(), 0, &listener_).status()),
            v1::ERROR_REASON_EXECUTION_NOT_FOUND);
  EXPECT_THAT(observer_.reattaches, ElementsAre(ReattachResult::kNotFound));
}

TEST_F(ExecutionManagerTest, DrainRefusesTheNewAndWaitsForTheOld) {
  auto execution = Start(Request(ExecutionMode::kStream, "id", "digest"));
  testing::FakeSandbox* sandbox = source_.Grant();
  bool drained = false;
  manager_.Drain(absl::Seconds(30), [&] { drained = true; });
  const absl::Status refused = manager_.Start(Request(ExecutionMode::kStream)).status();
  EXPECT_EQ(ReasonOf(refused), v1::ERROR_REASON_SERVER_DRAINING);
  EXPECT_TRUE(RetryDelayOf(refused).has_value());
  EXPECT_EQ(Start(Request(ExecutionMode::kStream, "id", "digest")), execution);
  loop_.Advance(absl::Seconds(29));
  EXPECT_FALSE(drained);
  EXPECT_TRUE(sandbox->stops().empty());
  sandbox->Finish();
  EXPECT_FALSE(drained) << "never inline";
  loop_.Run();
  EXPECT_TRUE(drained);
}

TEST_F(ExecutionManagerTest, DrainStopsTheRestAfterItsTimeout) {
  auto running = Start(Request(ExecutionMode::kCollect));
  testing::FakeSandbox* sandbox = source_.Grant();
  auto queued = Start(Request(ExecutionMode::kCollect));
  int drained = 0;
  manager_.Drain(absl::Seconds(30), [&] { ++drained; });
  loop_.Advance(absl::Seconds(30));
  EXPECT_THAT(sandbox->stops(), ElementsAre(sandbox::StopReason::kShutdown));
  EXPECT_EQ(ReasonOf(queued->result().status), v1::ERROR_REASON_SERVER_DRAINING);
  EXPECT_EQ(drained, 0);
  sandbox->Finish(v1::Outcome::KIND_INTERRUPTED);
  loop_.Run();
  EXPECT_EQ(drained, 1);
}

TEST_F(ExecutionManagerTest, DrainOfNothingIsDoneOnTheNextTurn) {
  bool drained = false;
  manager_.Drain(absl::Seconds(30), [&] { drained = true; });
  EXPECT_FALSE(drained);
  loop_.Run();
  EXPECT_TRUE(drained);
  EXPECT_EQ(loop_.timer_count(), 0u);
}

}  // namespace
}  // namespace cloister::core
