// The life of one execution, in the collecting mode of RunCode.

#include "service/core/execution.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "service/base/proto_time.h"
#include "tests/unit/service_core/core_fixture.h"

namespace cloister::core {
namespace {

using ::testing::ElementsAre;

using ExecutionTest = CoreTest;

TEST_F(ExecutionTest, RunsTheProgramWithItsLimitsInTheLeasedSandbox) {
  ExecutionRequest request = Request(ExecutionMode::kCollect);
  request.limits.memory_bytes = 12345;
  request.deadline = loop_.Now() + absl::Seconds(7);
  auto execution = Start(std::move(request));
  EXPECT_EQ(source_.last_template, "python");
  EXPECT_EQ(source_.last_deadline, loop_.Now() + absl::Seconds(7));
  EXPECT_EQ(execution->state(), Execution::State::kQueued);

  testing::FakeSandbox* sandbox = source_.Grant();
  EXPECT_EQ(execution->state(), Execution::State::kRunning);
  EXPECT_EQ(execution->sandbox_id(), sandbox->id());
  EXPECT_EQ(sandbox->program().code(), "print(1)");
  EXPECT_EQ(sandbox->limits().memory_bytes, 12345);
}

TEST_F(ExecutionTest, JoinsEachStreamAndTellsOnlyOfTheEnd) {
  auto execution = Start(Request(ExecutionMode::kCollect));
  auto owner = Own(*execution);
  testing::FakeSandbox* sandbox = source_.Grant();
  sandbox->Write("one ");
  sandbox->Write("err", sandbox::OutputStream::kStderr);
  sandbox->Write("two");
  EXPECT_EQ(listener_.progress, 0);

  sandbox::ExecutionEnd end;
  end.outcome.set_kind(v1::Outcome::KIND_RAISED);
  end.files.emplace_back().set_path("a");
  sandbox->Finish(std::move(end));
  EXPECT_EQ(listener_.progress, 1);
  EXPECT_TRUE(owner->AtEnd());
  EXPECT_EQ(execution->result().outcome.kind(), v1::Outcome::KIND_RAISED);
  EXPECT_EQ(execution->result().stdout_bytes, "one two");
  EXPECT_EQ(execution->result().stderr_bytes, "err");
  ASSERT_EQ(execution->result().files.size(), 1u);
}

TEST_F(ExecutionTest, ASandboxThatCouldNotBeMadeReadyIsAnErrorWithoutItsDetails) {
  auto execution = Start(Request(ExecutionMode::kCollect, "id"));
  auto owner = Own(*execution);
  sandbox::ExecutionEnd end;
  end.status = absl::InternalError("mount /var/lib/cloister: no");
  source_.Grant()->Finish(std::move(end));
  EXPECT_TRUE(owner->AtEnd());
  const absl::Status& status = execution->result().status;
  EXPECT_EQ(ReasonOf(status), v1::ERROR_REASON_SANDBOX_SETUP_FAILED);
  EXPECT_EQ(status.message().find("/var/lib"), std::string::npos);
  EXPECT_NE(status.message().find(execution->name()), std::string::npos);
  EXPECT_THAT(observer_.setup_errors, ElementsAre("mount /var/lib/cloister: no"));
  EXPECT_FALSE(manager_.Find(execution->name()).ok()) << "may be tried again under its id";
}

TEST_F(ExecutionTest, FillsInTheStagesTheServiceKnows) {
  auto execution = Start(Request(ExecutionMode::kCollect));
  source_.Grant(absl::Milliseconds(3))->Finish();
  const v1::StageTimes& stages = execution->result().outcome.stage_times();
  EXPECT_EQ(base::FromProto(stages.queued()), absl::Milliseconds(3));
  EXPECT_TRUE(stages.has_prepared());
  EXPECT_EQ(execution->start_kind(), v1::START_KIND_WARM);
}

TEST_F(ExecutionTest, DiscardsTheSandboxAfterReadersWereTold) {
  class Watcher final : public ExecutionListener {
   public:
    explicit Watcher(testing::FakeSandboxFactory* factory) : factory_(factory) {}
    void OnProgress() override { destroyed_when_told = factory_->destroyed_count(); }
    int64_t destroyed_when_told = -1;

   private:
    testing::FakeSandboxFactory* const factory_;
  } watcher(&factory_);
  auto execution = Start(Request(ExecutionMode::kCollect));
  auto owner = std::move(execution->Subscribe(&watcher, ReaderRole::kOwner).value());
  source_.Grant()->Finish();
  EXPECT_EQ(watcher.destroyed_when_told, 0);
  EXPECT_EQ(factory_.destroyed_count(), 1);
}

TEST_F(ExecutionTest, FailedLeaseIsAStatusAndNoOutcome) {
  auto execution = Start(Request(ExecutionMode::kCollect));
  auto owner = Own(*execution);
  source_.Refuse(MakeError(v1::ERROR_REASON_POOL_EXHAUSTED, "none"));
  EXPECT_TRUE(execution->ended());
  EXPECT_EQ(listener_.progress, 1);
  EXPECT_EQ(ReasonOf(execution->result().status), v1::ERROR_REASON_POOL_EXHAUSTED);
  EXPECT_EQ(ReasonOf(owner->Read(1).status()), v1::ERROR_REASON_POOL_EXHAUSTED);
  EXPECT_TRUE(owner->AtEnd());
  EXPECT_EQ(observer_.started, 0);
}

TEST_F(ExecutionTest, StopsWhenItsOwnerLeaves) {
  auto execution = Start(Request(ExecutionMode::kCollect));
  auto owner = Own(*execution);
  testing::FakeSandbox* sandbox = source_.Grant();
  owner.reset();
  EXPECT_THAT(sandbox->stops(), ElementsAre(sandbox::StopReason::kCallerGone));
  sandbox->Finish(v1::Outcome::KIND_INTERRUPTED);
  EXPECT_THAT(observer_.ended, ElementsAre(v1::Outcome::KIND_INTERRUPTED));
}

TEST_F(ExecutionTest, LeavesTheQueueWhenItsOwnerLeaves) {
  auto execution = Start(Request(ExecutionMode::kCollect));
  Own(*execution).reset();
  EXPECT_TRUE(source_.pending.empty());
  EXPECT_TRUE(execution->ended());
  EXPECT_EQ(execution->result().status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(manager_.active_count(), 0);
}

TEST_F(ExecutionTest, GoesOnWhileOneOwnerIsLeft) {
  auto execution = Start(Request(ExecutionMode::kCollect));
  auto first = Own(*execution);
  auto second = Own(*execution);
  testing::FakeSandbox* sandbox = source_.Grant();
  first.reset();
  EXPECT_TRUE(sandbox->stops().empty());
  second.reset();
  EXPECT_EQ(sandbox->stops().size(), 1u);
  sandbox->Finish();
}

TEST_F(ExecutionTest, DetachedGoesOnAlone) {
  ExecutionRequest request = Request(ExecutionMode::kStream);
  request.on_disconnect = OnDisconnect::kDetach;
  auto execution = Start(std::move(request));
  auto owner = Own(*execution);
  testing::FakeSandbox* sandbox = source_.Grant();
  owner.reset();
  EXPECT_TRUE(sandbox->stops().empty());
  sandbox->Finish();
  EXPECT_EQ(execution->result().outcome.kind(), v1::Outcome::KIND_SUCCEEDED);
}

TEST_F(ExecutionTest, InterruptReachesTheSandboxAndReportsTheEnd) {
  auto execution = Start(Request(ExecutionMode::kCollect));
  testing::FakeSandbox* sandbox = source_.Grant();
  int done = 0;
  const auto count = [&](const ExecutionResult& result) {
    EXPECT_EQ(result.outcome.kind(), v1::Outcome::KIND_INTERRUPTED);
    ++done;
  };
  EXPECT_TRUE(execution->Interrupt(absl::Seconds(2), count).ok());
  EXPECT_TRUE(execution->Interrupt(absl::Seconds(1), count).ok());
  EXPECT_THAT(sandbox->interrupts(), ElementsAre(absl::Seconds(2), absl::Seconds(1)));
  EXPECT_EQ(done, 0);
  loop_.Advance(absl::Milliseconds(500));
  sandbox->Finish(v1::Outcome::KIND_INTERRUPTED);
  EXPECT_EQ(done, 2);
  EXPECT_TRUE(execution->Interrupt(absl::Seconds(1), count).ok());
  EXPECT_EQ(done, 3) << "an ended one tells its end";
  EXPECT_THAT(observer_.interrupts, ElementsAre(InterruptResult::kStopped));
}

TEST_F(ExecutionTest, InterruptThatTookTheWholeGraceWasEscalated) {
  auto execution = Start(Request(ExecutionMode::kCollect));
  testing::FakeSandbox* sandbox = source_.Grant();
  EXPECT_TRUE(execution->Interrupt(absl::Seconds(2), [](const ExecutionResult&) {}).ok());
  loop_.Advance(absl::Seconds(2));
  sandbox->Finish(v1::Outcome::KIND_INTERRUPTED);
  EXPECT_THAT(observer_.interrupts, ElementsAre(InterruptResult::kEscalated));
}

TEST_F(ExecutionTest, OnlySoManyWaitForTheEndOfAnInterrupt) {
  auto execution = Start(Request(ExecutionMode::kCollect));
  testing::FakeSandbox* sandbox = source_.Grant();
  size_t done = 0;
  const auto count = [&done](const ExecutionResult&) { ++done; };
  for (size_t i = 0; i < kMaximumWaiters; ++i) {
    ASSERT_TRUE(execution->Interrupt(absl::Seconds(2), count).ok());
  }
  const absl::Status refused = execution->Interrupt(absl::Seconds(1), count);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused), v1::ERROR_REASON_EXECUTION_QUEUE_FULL);
  EXPECT_EQ(sandbox->interrupts().back(), absl::Seconds(2)) << "refused, without an effect";
  sandbox->Finish(v1::Outcome::KIND_INTERRUPTED);
  EXPECT_EQ(done, kMaximumWaiters);
  EXPECT_TRUE(execution->Interrupt(absl::Seconds(1), count).ok()) << "nobody has to wait any more";
}

TEST_F(ExecutionTest, InterruptInTheQueueEndsItAtOnce) {
  auto execution = Start(Request(ExecutionMode::kCollect));
  bool done = false;
  const auto told = [&](const ExecutionResult& result) {
    done = true;
    EXPECT_TRUE(result.status.ok());
    EXPECT_EQ(result.outcome.kind(), v1::Outcome::KIND_INTERRUPTED);
  };
  EXPECT_TRUE(execution->Interrupt(absl::Seconds(2), told).ok());
  EXPECT_TRUE(done);
  EXPECT_TRUE(source_.pending.empty());
}

TEST_F(ExecutionTest, OwnerMayLeaveFromInsideTheLastNotification) {
  class Leaver final : public ExecutionListener {
   public:
    void OnProgress() override { subscription.reset(); }
    std::unique_ptr<Subscription> subscription;
  } leaver;
  auto execution = Start(Request(ExecutionMode::kCollect));
  leaver.subscription = std::move(execution->Subscribe(&leaver, ReaderRole::kOwner).value());
  execution.reset();
  testing::FakeSandbox* sandbox = source_.Grant();
  sandbox->Finish();  // frees the execution; the sanitizer watches
  EXPECT_EQ(leaver.subscription, nullptr);
}

}  // namespace
}  // namespace cloister::core
