// Further interpreters of live sandboxes: executions side by side, loss, restart, deletion, what their
// sandbox's end means for them, and what they mean for copies of it.

#include "service/core/further_interpreters.h"

#include <string>

#include "gmock/gmock.h"
#include "tests/unit/service_core/interpreter_fixture.h"

namespace cloister::core {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FurtherInterpretersTest : public InterpreterTest {};

// ---- executions ---------------------------------------------------------------------------------

TEST_F(FurtherInterpretersTest, ExecutionsInDifferentInterpretersDoNotWaitForEachOther) {
  const std::string one = Make("one");
  const std::string two = Make("two", kProcess);
  const auto in_main = Execute(sandbox_);
  const auto in_one = Execute(one);
  const auto in_two = Execute(two);
  const auto next_in_one = Execute(one);
  for (const auto& execution : {in_main, in_one, in_two}) {
    EXPECT_EQ(execution->state(), Execution::State::kRunning);
  }
  EXPECT_EQ(next_in_one->state(), Execution::State::kQueued);
  EXPECT_EQ(Get(one).current_execution(), in_one->name());
  EXPECT_EQ(Get(one).queued_execution_count(), 1);
  EXPECT_EQ(*sandboxes_.CurrentExecution(two), in_two->name());
  EXPECT_EQ(State(sandbox_), v1::Sandbox::STATE_BUSY);
  guest_->Finish();
  EXPECT_EQ(State(sandbox_), v1::Sandbox::STATE_BUSY) << "two of it are";
  EXPECT_EQ(Get(sandbox_).state(), v1::Interpreter::STATE_READY);
  fake(0)->Finish();
  EXPECT_EQ(next_in_one->state(), Execution::State::kRunning);
  EXPECT_EQ(fake(0)->cell().number, 2);
  fake(0)->Finish();
  fake(1)->Finish();
  EXPECT_EQ(State(sandbox_), v1::Sandbox::STATE_READY);
  EXPECT_EQ(Get(one).execution_count(), 2);
}

TEST_F(FurtherInterpretersTest, AnInterruptReachesTheOneItIsMeantFor) {
  const std::string one = Make("one");
  (void)Execute(sandbox_);
  const auto execution = Execute(one);
  EXPECT_TRUE(execution->Interrupt(absl::Seconds(1), [](const ExecutionResult&) {}).ok());
  EXPECT_THAT(fake(0)->interrupts(), ElementsAre(absl::Seconds(1)));
  EXPECT_THAT(guest_->interrupts(), IsEmpty());
  fake(0)->Finish(v1::Outcome::KIND_INTERRUPTED);
  EXPECT_EQ(Get(one).state(), v1::Interpreter::STATE_READY);
  guest_->Finish();
}

TEST_F(FurtherInterpretersTest, ExecutionsInAnyOfThemKeepTheSandboxFromExpiring) {
  const std::string one = Make("one");
  (void)Execute(one);
  loop_.Advance(absl::Minutes(20));
  EXPECT_EQ(State(sandbox_), v1::Sandbox::STATE_BUSY);
  fake(0)->Finish();
  loop_.Advance(absl::Minutes(9));
  EXPECT_EQ(State(sandbox_), v1::Sandbox::STATE_READY);
  loop_.Advance(absl::Minutes(2));
  EXPECT_EQ(ReasonOf(GetError(one)), v1::ERROR_REASON_SANDBOX_EXPIRED);
  EXPECT_EQ(Existing(), 0);
}

TEST_F(FurtherInterpretersTest, WhatTheyHoldIsToldAndCounted) {
  const std::string one = Make("one");
  (void)Execute(one);
  fake(0)->held.set_current_bytes(1000);
  fake(0)->held.set_peak_bytes(2000);
  fake(0)->Finish();
  EXPECT_EQ(Get(one).memory_bytes(), 1000);
  EXPECT_EQ(Get(one).peak_memory_bytes(), 2000);
  EXPECT_EQ(observer_.interpreter_memory, 1000);
  fake(0)->Lose(v1::Outcome::KIND_SIGNALED);
  EXPECT_EQ(observer_.interpreter_memory, 0);
}

// ---- loss and the end ---------------------------------------------------------------------------

TEST_F(FurtherInterpretersTest, OneThatIsLostSaysWhyAndTheSandboxGoesOn) {
  const std::string one = Make("one");
  const auto running = Execute(one);
  const auto waiting = Execute(one);
  sandbox::ExecutionEnd end;
  end.outcome.set_kind(v1::Outcome::KIND_SIGNALED);
  end.outcome.set_detail("ended by SIGSEGV");
  fake(0)->Finish(std::move(end));
  EXPECT_EQ(running->result().outcome.kind(), v1::Outcome::KIND_SIGNALED);
  const absl::Status error = waiting->result().status;
  EXPECT_EQ(ReasonOf(error), v1::ERROR_REASON_INTERPRETER_LOST);
  EXPECT_EQ(MetadataOf(error, "cause"), "SIGNALED");
  EXPECT_EQ(MetadataOf(error, "execution"), running->name());
  EXPECT_EQ(Get(one).state(), v1::Interpreter::STATE_LOST);
  EXPECT_EQ(Get(one).loss().detail(), "ended by SIGSEGV");
  EXPECT_EQ(State(sandbox_), v1::Sandbox::STATE_READY);
  loop_.Run();
  EXPECT_THAT(guest_->interpreters(), IsEmpty());
  (void)Execute(sandbox_);
  guest_->Finish();
}

TEST_F(FurtherInterpretersTest, ARestartKeepsWhatWaitsForTheNewStart) {
  const std::string one = Make("one");
  const auto running = Execute(one);
  const auto waiting = Execute(one);
  testing::FakeInterpreter* const old = fake(0);
  Told told = std::make_shared<std::optional<absl::StatusOr<v1::Interpreter>>>();
  ASSERT_TRUE(interpreters_
                  .Restart(one, absl::InfiniteFuture(), [told](auto made) { *told = made; })
                  .ok());
  EXPECT_EQ(Get(one).state(), v1::Interpreter::STATE_STARTING);
  EXPECT_EQ(guest_->pending_interpreters(), 0u) << "the old one has not ended";
  old->Finish(v1::Outcome::KIND_INTERRUPTED);
  EXPECT_EQ(running->result().outcome.kind(), v1::Outcome::KIND_INTERRUPTED);
  old->ending(absl::OkStatus());
  loop_.Run();
  ASSERT_TRUE(told->has_value() && (*told)->ok());
  EXPECT_EQ((**told)->restart_count(), 1);
  ASSERT_EQ(guest_->interpreters().size(), 1u);
  EXPECT_EQ(waiting->state(), Execution::State::kRunning);
  EXPECT_EQ(fake(0)->cell().number, 1);
  fake(0)->Finish();
}

TEST_F(FurtherInterpretersTest, ARestartThatFailsLeavesItLost) {
  const std::string one = Make("one");
  fake(0)->Lose(v1::Outcome::KIND_SIGNALED);
  loop_.Run();
  factory_.answer_interpreters = false;
  Told told = std::make_shared<std::optional<absl::StatusOr<v1::Interpreter>>>();
  ASSERT_TRUE(interpreters_
                  .Restart(one, absl::InfiniteFuture(), [told](auto made) { *told = made; })
                  .ok());
  sandbox::CreatedInterpreter answer;
  answer.status = absl::InternalError("no");
  guest_->AnswerInterpreter(std::move(answer));
  EXPECT_EQ(ReasonOf((*told)->status()), v1::ERROR_REASON_SANDBOX_SETUP_FAILED);
  EXPECT_EQ(Get(one).state(), v1::Interpreter::STATE_LOST);
}

TEST_F(FurtherInterpretersTest, MainIsRestartedAndDeletedWithItsSandboxOnly) {
  const std::string main = sandbox_ + "/interpreters/main";
  EXPECT_EQ(ReasonOf(interpreters_.Restart(main, absl::InfiniteFuture(), [](auto) {})),
            v1::ERROR_REASON_FIELD_INVALID);
  EXPECT_EQ(ReasonOf(interpreters_.Delete(main, [](auto) {})), v1::ERROR_REASON_FIELD_INVALID);
}

TEST_F(FurtherInterpretersTest, DeletedItIsGoneAtOnceAndEndsInGoodOrder) {
  const std::string one = Make("one");
  const auto running = Execute(one);
  const auto waiting = Execute(one);
  testing::FakeInterpreter* const old = fake(0);
  std::vector<std::string> lost = {"not told"};
  ASSERT_TRUE(interpreters_.Delete(one, [&](auto names) { lost = names; }).ok());
  EXPECT_EQ(ReasonOf(waiting->result().status), v1::ERROR_REASON_INTERPRETER_NOT_FOUND);
  EXPECT_EQ(ReasonOf(GetError(one)), v1::ERROR_REASON_INTERPRETER_NOT_FOUND);
  EXPECT_EQ(ReasonOf(interpreters_.Delete(one, [](auto) {})),
            v1::ERROR_REASON_INTERPRETER_NOT_FOUND);
  EXPECT_THAT(old->stops(), IsEmpty());
  old->Finish(v1::Outcome::KIND_INTERRUPTED);
  EXPECT_EQ(running->result().outcome.kind(), v1::Outcome::KIND_INTERRUPTED);
  old->ending(absl::OkStatus());
  loop_.Run();
  EXPECT_THAT(lost, IsEmpty());
  EXPECT_THAT(guest_->interpreters(), IsEmpty());
  EXPECT_EQ(State(sandbox_), v1::Sandbox::STATE_READY);
}

TEST_F(FurtherInterpretersTest, OneThatDoesNotEndTakesItsNeighboursAlongAndSaysSo) {
  const std::string one = Make("one");
  const std::string two = Make("two", kSharedGil);
  const std::string three = Make("three", kProcess);
  EXPECT_THAT(Delete(one, fake(0), absl::DeadlineExceededError("wedged")), ElementsAre(two));
  EXPECT_EQ(Get(two).state(), v1::Interpreter::STATE_LOST);
  EXPECT_THAT(Get(two).loss().detail(), HasSubstr(one));
  EXPECT_EQ(Get(three).state(), v1::Interpreter::STATE_READY);
}

TEST_F(FurtherInterpretersTest, TheLossOfTheSandboxIsTheirs) {
  const std::string one = Make("one");
  const std::string two = Make("two", kProcess);
  const auto running = Execute(one);
  const auto waiting = Execute(one);
  factory_.answer_interpreters = false;
  Told told;
  ASSERT_TRUE(Ask(NewInterpreter("three"), &told).ok());
  testing::FakeInterpreter* const still = fake(0);
  guest_->Lose(v1::Outcome::KIND_MEMORY_LIMIT);
  EXPECT_EQ(State(sandbox_), v1::Sandbox::STATE_LOST);
  EXPECT_EQ(ReasonOf((*told)->status()), v1::ERROR_REASON_SANDBOX_LOST);
  EXPECT_EQ(ReasonOf(waiting->result().status), v1::ERROR_REASON_SANDBOX_LOST);
  EXPECT_EQ(Get(two).state(), v1::Interpreter::STATE_LOST);
  EXPECT_EQ(Get(two).loss().cause(), v1::Outcome::KIND_MEMORY_LIMIT);
  EXPECT_EQ(ReasonOf(Ask(NewInterpreter("four")).status()), v1::ERROR_REASON_SANDBOX_LOST);
  EXPECT_EQ(ReasonOf(interpreters_.Restart(one, absl::InfiniteFuture(), [](auto) {})),
            v1::ERROR_REASON_SANDBOX_LOST);
  EXPECT_EQ(Existing(), 1) << "what runs in it is told by the host how it ended";
  sandbox::ExecutionEnd end;
  end.outcome.set_kind(v1::Outcome::KIND_INTERPRETER_LOST);
  still->Finish(std::move(end));
  EXPECT_EQ(running->result().outcome.kind(), v1::Outcome::KIND_INTERPRETER_LOST);
  loop_.Run();
  EXPECT_EQ(Existing(), 0);
}

TEST_F(FurtherInterpretersTest, ARestartOfTheSandboxEndsThem) {
  const std::string one = Make("one");
  const auto running = Execute(one);
  const auto waiting = Execute(one);
  ASSERT_TRUE(sandboxes_.Restart(sandbox_, absl::InfiniteFuture(), [](auto) {}).ok());
  EXPECT_EQ(ReasonOf(waiting->result().status), v1::ERROR_REASON_SANDBOX_LOST);
  EXPECT_EQ(ReasonOf(GetError(one)), v1::ERROR_REASON_INTERPRETER_NOT_FOUND);
  Told told;
  ASSERT_TRUE(Ask(NewInterpreter("one"), &told).ok()) << "waits for the new start";
  guest_ = source_.Grant();
  loop_.Run();
  EXPECT_EQ(running->result().outcome.kind(), v1::Outcome::KIND_INTERRUPTED);
  ASSERT_TRUE(told->has_value() && (*told)->ok());
  EXPECT_EQ(Existing(), 1);
}

TEST_F(FurtherInterpretersTest, DeletionOfTheSandboxEndsThemWithItsReason) {
  const std::string one = Make("one");
  const std::string two = Make("two");
  const auto running = Execute(one);
  const auto waiting = Execute(one);
  testing::FakeInterpreter* const stopped = fake(0);
  bool is_deleted = false;
  ASSERT_TRUE(interpreters_.Delete(two, [&](auto) { is_deleted = true; }).ok());
  ASSERT_TRUE(sandboxes_.Delete(sandbox_).ok());
  EXPECT_TRUE(is_deleted) << "nothing of it runs";
  EXPECT_THAT(stopped->stops(), ElementsAre(sandbox::StopReason::kDeleted));
  EXPECT_EQ(ReasonOf(waiting->result().status), v1::ERROR_REASON_SANDBOX_NOT_FOUND);
  loop_.Run();
  EXPECT_EQ(running->result().outcome.kind(), v1::Outcome::KIND_INTERRUPTED);
  EXPECT_EQ(ReasonOf(GetError(one)), v1::ERROR_REASON_SANDBOX_NOT_FOUND);
  EXPECT_EQ(Existing(), 0);
}

TEST_F(FurtherInterpretersTest, AServerThatDrainsMakesNone) {
  const std::string one = Make("one");
  sandboxes_.BeginDrain();
  EXPECT_EQ(ReasonOf(Ask(NewInterpreter("two")).status()), v1::ERROR_REASON_SERVER_DRAINING);
  EXPECT_EQ(ReasonOf(interpreters_.Restart(one, absl::InfiniteFuture(), [](auto) {})),
            v1::ERROR_REASON_SERVER_DRAINING);
}

// ---- copies of their sandbox --------------------------------------------------------------------

TEST_F(FurtherInterpretersTest, ASandboxThatHasThemIsNotCopied) {
  const std::string one = Make("one");
  const auto sandbox = *sandboxes_.Find(sandbox_);
  const auto work = [](sandbox::Sandbox&, std::function<void()> over) { over(); };
  const absl::Status refused =
      sandbox->RequestWork(work, absl::InfiniteFuture(), [](const absl::Status&) {});
  EXPECT_EQ(ReasonOf(refused), v1::ERROR_REASON_FORK_REFUSED);
  EXPECT_THAT(MetadataOf(refused, "cause").value_or(""), HasSubstr("one"));
  Delete(one, fake(0));
  EXPECT_TRUE(sandbox->RequestWork(work, absl::InfiniteFuture(), [](const absl::Status&) {}).ok());
  loop_.Run();
}

TEST_F(FurtherInterpretersTest, OneThatComesBeforeTheCopysTurnKeepsItFromBeingMade) {
  const auto sandbox = *sandboxes_.Find(sandbox_);
  (void)Execute(sandbox_);
  absl::Status refused;
  bool has_worked = false;
  ASSERT_TRUE(sandbox
                  ->RequestWork([&](sandbox::Sandbox&, auto) { has_worked = true; },
                                absl::InfiniteFuture(),
                                [&](const absl::Status& why) { refused = why; })
                  .ok());
  Make("one");
  guest_->Finish();
  loop_.Run();
  EXPECT_FALSE(has_worked);
  EXPECT_EQ(ReasonOf(refused), v1::ERROR_REASON_FORK_REFUSED);
  EXPECT_EQ(State(sandbox_), v1::Sandbox::STATE_READY);
}

TEST_F(FurtherInterpretersTest, NoneIsMadeWhileTheSandboxIsCopied) {
  const auto sandbox = *sandboxes_.Find(sandbox_);
  std::function<void()> over;
  ASSERT_TRUE(sandbox
                  ->RequestWork([&](sandbox::Sandbox&, auto done) { over = std::move(done); },
                                absl::InfiniteFuture(), [](const absl::Status&) {})
                  .ok());
  loop_.Run();
  ASSERT_NE(over, nullptr);
  Told told;
  ASSERT_TRUE(Ask(NewInterpreter("one"), &told).ok());
  loop_.Run();
  EXPECT_FALSE(told->has_value());
  over();
  loop_.Run();
  EXPECT_TRUE(told->has_value() && (*told)->ok());
}

}  // namespace
}  // namespace cloister::core
