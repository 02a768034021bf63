// Executions in a live sandbox: order, state, loss, restart, deletion, input and late output.

#include "service/core/live_sandbox.h"

#include <string>

#include "gmock/gmock.h"
#include "tests/unit/service_core/live_fixture.h"

namespace cloister::core {
namespace {

using ::testing::HasSubstr;

class LiveSandboxTest : public LiveTest {};

TEST_F(LiveSandboxTest, ExecutionsRunOneAfterAnotherInTheOrderTheyCame) {
  const std::string name = MakeReady();
  const auto first = Execute(name);
  const auto second = Execute(name + "/interpreters/main");
  EXPECT_EQ(first->state(), Execution::State::kRunning);
  EXPECT_EQ(second->state(), Execution::State::kQueued);
  EXPECT_EQ(State(name), v1::Sandbox::STATE_BUSY);
  EXPECT_EQ(sandboxes_.Get(name)->queued_execution_count(), 1);
  EXPECT_EQ(sandboxes_.Get(name)->current_execution(), first->name());
  EXPECT_EQ(guest_->cell().number, 1);
  guest_->Finish();
  EXPECT_EQ(first->result().outcome.kind(), v1::Outcome::KIND_SUCCEEDED);
  EXPECT_TRUE(first->result().outcome.state_preserved());
  EXPECT_EQ(second->state(), Execution::State::kRunning);
  EXPECT_EQ(guest_->cell().number, 2);
  guest_->Finish();
  loop_.Run();
  EXPECT_EQ(State(name), v1::Sandbox::STATE_READY);
  EXPECT_EQ(second->execution_count(), 2);
}

TEST_F(LiveSandboxTest, LimitsOfTheSandboxHoldUnlessTheExecutionAsksForOthers) {
  const std::string name = MakeReady();
  EXPECT_EQ(guest_->session()->limits.wall_time, absl::Seconds(7));
  ExecutionRequest request;
  request.interpreter = name;
  request.cell.cpu_time = absl::Seconds(1);
  const auto started = executions_.Start(std::move(request));
  loop_.Run();
  EXPECT_EQ(guest_->limits().wall_time, absl::Seconds(7));
  EXPECT_EQ(guest_->limits().cpu_time, absl::Seconds(1));
  EXPECT_EQ((*started)->limits().wall_time, absl::Seconds(7));
  guest_->Finish();
}

TEST_F(LiveSandboxTest, TheQueueIsBounded) {
  const std::string name = MakeReady();
  for (int i = 0; i < 3; ++i) ASSERT_NE(Execute(name), nullptr);
  ExecutionRequest request;
  request.interpreter = name;
  const auto refused = executions_.Start(std::move(request));
  EXPECT_EQ(ReasonOf(refused.status()), v1::ERROR_REASON_EXECUTION_QUEUE_FULL);
  EXPECT_TRUE(RetryDelayOf(refused.status()).has_value());
}

TEST_F(LiveSandboxTest, AnExecutionThatIsNotItsTurnByItsDeadlineIsNotStarted) {
  const std::string name = MakeReady();
  (void)Execute(name);
  const auto late = Execute(name, ExecutionMode::kCollect, loop_.Now() + absl::Seconds(1));
  loop_.Advance(absl::Seconds(2));
  EXPECT_EQ(ReasonOf(late->result().status), v1::ERROR_REASON_NOT_STARTED);
  guest_->Finish();
  EXPECT_EQ(State(name), v1::Sandbox::STATE_READY);
}

TEST_F(LiveSandboxTest, OneThatLeavesTheQueueIsPassedOver) {
  const std::string name = MakeReady();
  (void)Execute(name);
  const auto second = Execute(name);
  const auto third = Execute(name);
  second->Cancel(sandbox::StopReason::kCallerGone);
  guest_->Finish();
  EXPECT_EQ(third->state(), Execution::State::kRunning);
}

TEST_F(LiveSandboxTest, ACallerThatGoesAwayInterruptsAndDoesNotKill) {
  const std::string name = MakeReady();
  const auto execution = Execute(name);
  subscriptions_.clear();
  EXPECT_EQ(guest_->interrupts(), std::vector<absl::Duration>{Execution::kCallerGoneGrace});
  EXPECT_TRUE(guest_->stops().empty());
  guest_->Finish(v1::Outcome::KIND_INTERRUPTED);
  EXPECT_EQ(State(name), v1::Sandbox::STATE_READY);
}

TEST_F(LiveSandboxTest, LostWithAnExecutionItSaysWhyUntilItIsRestarted) {
  const std::string name = MakeReady();
  const auto execution = Execute(name);
  const auto waiting = Execute(name);
  sandbox::ExecutionEnd end;
  end.outcome.set_kind(v1::Outcome::KIND_SIGNALED);
  end.outcome.set_detail("ended by SIGSEGV");
  guest_->Finish(std::move(end));
  EXPECT_EQ(execution->result().outcome.kind(), v1::Outcome::KIND_SIGNALED);
  EXPECT_EQ(ReasonOf(waiting->result().status), v1::ERROR_REASON_SANDBOX_LOST);
  EXPECT_EQ(MetadataOf(waiting->result().status, "cause"), "SIGNALED");
  EXPECT_EQ(State(name), v1::Sandbox::STATE_LOST);
  EXPECT_EQ(sandboxes_.Get(name)->loss().execution(), execution->name());

  ExecutionRequest request;
  request.interpreter = name;
  EXPECT_EQ(ReasonOf(executions_.Start(std::move(request)).status()),
            v1::ERROR_REASON_SANDBOX_LOST);

  bool restarted = false;
  ASSERT_TRUE(sandboxes_
                  .Restart(name, absl::InfiniteFuture(),
                           [&](absl::StatusOr<v1::Sandbox> sandbox) {
                             restarted = sandbox.ok();
                             EXPECT_EQ(sandbox->restart_count(), 1);
                           })
                  .ok());
  const auto queued = Execute(name);
  guest_ = source_.Grant();
  loop_.Run();
  EXPECT_TRUE(restarted);
  EXPECT_EQ(queued->state(), Execution::State::kRunning);
  EXPECT_EQ(guest_->cell().number, 1);
  guest_->Finish();
}

TEST_F(LiveSandboxTest, LostAsACellIsOnItsWayItSaysSo) {
  const std::string name = MakeReady();
  const auto execution = Execute(name);
  sandbox::ExecutionEnd end;
  end.status = absl::UnavailableError("the sandbox had ended before");
  guest_->Finish(std::move(end));
  EXPECT_EQ(ReasonOf(execution->result().status), v1::ERROR_REASON_SANDBOX_LOST);
  EXPECT_EQ(State(name), v1::Sandbox::STATE_LOST);
}

TEST_F(LiveSandboxTest, LostWhileIdleItSaysWhy) {
  const std::string name = MakeReady();
  guest_->Lose(v1::Outcome::KIND_MEMORY_LIMIT);
  EXPECT_EQ(State(name), v1::Sandbox::STATE_LOST);
  EXPECT_EQ(sandboxes_.Get(name)->loss().cause(), v1::Outcome::KIND_MEMORY_LIMIT);
  EXPECT_EQ(Existing(), 0);
}

TEST_F(LiveSandboxTest, DeletedDuringAnExecutionThatIsKilledAndWhatWaitsIsRefused) {
  const std::string name = MakeReady();
  const auto running = Execute(name);
  const auto waiting = Execute(name);
  ASSERT_TRUE(sandboxes_.Delete(name).ok());
  EXPECT_EQ(ReasonOf(waiting->result().status), v1::ERROR_REASON_SANDBOX_NOT_FOUND);
  EXPECT_EQ(ReasonOf(sandboxes_.Delete(name)), v1::ERROR_REASON_SANDBOX_NOT_FOUND);
  loop_.Run();
  EXPECT_EQ(running->result().outcome.kind(), v1::Outcome::KIND_INTERRUPTED);
  EXPECT_EQ(Existing(), 0);
}

TEST_F(LiveSandboxTest, RestartedDuringAnExecutionTheOldOneEndsByItself) {
  const std::string name = MakeReady();
  const auto running = Execute(name);
  bool restarted = false;
  ASSERT_TRUE(sandboxes_
                  .Restart(name, absl::InfiniteFuture(),
                           [&](absl::StatusOr<v1::Sandbox>) { restarted = true; })
                  .ok());
  source_.Grant();
  loop_.Run();
  EXPECT_TRUE(restarted);
  EXPECT_EQ(running->result().outcome.kind(), v1::Outcome::KIND_INTERRUPTED);
  EXPECT_EQ(State(name), v1::Sandbox::STATE_READY) << "the old end is not the new one's";
  EXPECT_EQ(Existing(), 1);
}

TEST_F(LiveSandboxTest, InputReachesTheExecutionThatAskedForIt) {
  const std::string name = MakeReady();
  const auto execution = Execute(name, ExecutionMode::kStream);
  EXPECT_EQ(ReasonOf(execution->SendInput(1, "early")), v1::ERROR_REASON_INPUT_NOT_EXPECTED);
  guest_->open_request = 1;
  v1::ExecutionEvent event;
  event.mutable_input_request()->set_number(1);
  guest_->SayEvent(std::move(event));
  EXPECT_TRUE(execution->SendInput(1, "yes").ok());
  EXPECT_EQ(guest_->inputs(), std::vector<std::string>{"yes"});
  guest_->Finish();
  EXPECT_EQ(ReasonOf(execution->SendInput(1, "late")), v1::ERROR_REASON_INPUT_NOT_EXPECTED);
}

TEST_F(LiveSandboxTest, LateOutputComesInTheStreamOfWhoeverRunsThen) {
  const std::string name = MakeReady();
  const auto first = Execute(name);
  guest_->Finish();
  guest_->SayLate(1, "between");
  const auto second = Execute(name, ExecutionMode::kStream);
  guest_->SayLate(1, "during");
  guest_->Finish();
  const auto events = subscriptions_.back()->Read(1 << 20);
  ASSERT_EQ(events->size(), 4u);
  EXPECT_TRUE((*events)[0].has_started());
  EXPECT_EQ((*events)[1].late_output().execution(), first->name());
  EXPECT_EQ((*events)[1].late_output().stdout(), "between");
  EXPECT_EQ((*events)[2].late_output().stdout(), "during");
  EXPECT_TRUE((*events)[3].has_finished());
}

TEST_F(LiveSandboxTest, LateOutputThatNobodyReadsIsBounded) {
  const std::string name = MakeReady();
  (void)Execute(name);
  guest_->Finish();
  for (int i = 0; i < 100; ++i) guest_->SayLate(1, std::string(64 << 10, 'x'));
  (void)Execute(name, ExecutionMode::kStream);
  guest_->Finish();
  const auto events = subscriptions_.back()->Read(int64_t{1} << 30);
  EXPECT_LT(events->size(), 8u);
}

// ---- questions ----------------------------------------------------------------------------------

class QuestionTest : public LiveTest {
 protected:
  using Answer = absl::StatusOr<sandbox::NotebookAnswer>;

  std::shared_ptr<std::optional<Answer>> Ask(const std::string& name,
                                             absl::Time deadline = absl::InfiniteFuture()) {
    auto told = std::make_shared<std::optional<Answer>>();
    v1::InspectRequest request;
    request.set_code("x");
    auto ticket = (*sandboxes_.FindInterpreter(name))
                      ->Ask(request, deadline, [told](Answer answer) { *told = answer; });
    EXPECT_TRUE(ticket.ok()) << ticket.status();
    EXPECT_FALSE(told->has_value()) << "inline";
    loop_.Run();
    return told;
  }
};

TEST_F(QuestionTest, TheyTakeTurnsWithExecutions) {
  const std::string name = MakeReady();
  const auto first = Execute(name);
  const auto answer = Ask(name);
  const auto second = Execute(name);
  EXPECT_EQ(guest_->answer, nullptr);
  guest_->Finish();
  loop_.Run();
  EXPECT_EQ(State(name), v1::Sandbox::STATE_BUSY);
  EXPECT_EQ(second->state(), Execution::State::kQueued);
  v1::InspectResponse found;
  found.set_name("x");
  std::exchange(guest_->answer, nullptr)(found);
  loop_.Run();
  EXPECT_EQ(std::get<v1::InspectResponse>(answer->value().value()).name(), "x");
  EXPECT_EQ(second->state(), Execution::State::kRunning);
  EXPECT_EQ(guest_->cell().number, 2) << "questions have no number";
  guest_->Finish();
}

TEST_F(QuestionTest, WhatTheUsersObjectsRaiseIsToldAndTheSandboxGoesOn) {
  const std::string name = MakeReady();
  const auto answer = Ask(name);
  std::exchange(guest_->answer, nullptr)(absl::UnknownError("ValueError:\n\x07 no"));
  EXPECT_EQ(ReasonOf(answer->value().status()), v1::ERROR_REASON_LOOKUP_FAILED);
  EXPECT_THAT(std::string(answer->value().status().message()), HasSubstr("ValueError: \\x07 no"));
  EXPECT_EQ(State(name), v1::Sandbox::STATE_READY);
}

TEST_F(QuestionTest, ALossIsToldWithItsReason) {
  const std::string name = MakeReady();
  const auto answer = Ask(name);
  const auto waiting = Ask(name);
  std::exchange(guest_->answer, nullptr)(absl::UnavailableError("the sandbox ended"));
  EXPECT_FALSE(answer->has_value());
  guest_->Lose(v1::Outcome::KIND_SIGNALED);
  EXPECT_EQ(ReasonOf(answer->value().status()), v1::ERROR_REASON_SANDBOX_LOST);
  EXPECT_EQ(ReasonOf(waiting->value().status()), v1::ERROR_REASON_SANDBOX_LOST);
}

TEST_F(QuestionTest, DeletionAndDeadlinesEndThem) {
  const std::string name = MakeReady();
  const auto answer = Ask(name);
  const auto late = Ask(name, loop_.Now() + absl::Seconds(1));
  loop_.Advance(absl::Seconds(2));
  EXPECT_EQ(ReasonOf(late->value().status()), v1::ERROR_REASON_NOT_STARTED);
  EXPECT_TRUE(sandboxes_.Delete(name).ok());
  EXPECT_EQ(ReasonOf(answer->value().status()), v1::ERROR_REASON_SANDBOX_NOT_FOUND);
}

}  // namespace
}  // namespace cloister::core
