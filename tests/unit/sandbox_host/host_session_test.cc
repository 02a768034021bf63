// A sandbox that lives on: what the guest does between and in its cells, and what the host makes of
// it.

#include <signal.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/sandbox_host/host_session_fixture.h"

namespace cloister::sandbox {
namespace {

using internal::v1::Finished;
using internal::v1::GuestFrame;
using internal::v1::HostFrame;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using v1::Outcome;

TEST_F(HostSessionTest, OpensWithLimitsAndWithoutABoundOnProcessorTime) {
  ASSERT_TRUE(session_.opened->ok()) << *session_.opened;
  EXPECT_GT(opening_.open_session().limits().data_bytes(), limits_.memory_bytes);
  EXPECT_EQ(opening_.open_session().limits().cpu_seconds(), 0);
  EXPECT_TRUE(spawner_->Silent()) << "the limits are those it was made with";
}

TEST_F(HostSessionTest, CellsRunOneAfterAnotherWithCountsOfTheirOwn) {
  const HostFrame frame = StartCell(1);
  EXPECT_EQ(frame.execute_cell().number(), 1);
  guest_->Write("one");
  SayCellFinished(1);
  Outcome outcome = AwaitCell();
  EXPECT_EQ(outcome.kind(), Outcome::KIND_SUCCEEDED);
  EXPECT_TRUE(outcome.state_preserved());
  EXPECT_EQ(outcome.usage().stdout_bytes(), 3);
  EXPECT_TRUE(spawner_->Silent()) << "nothing is asked of the spawner for a cell";

  (void)StartCell(2);
  guest_->Write("second");
  SayCellFinished(2, Finished::KIND_RAISED, "ValueError");
  outcome = AwaitCell();
  EXPECT_EQ(outcome.kind(), Outcome::KIND_RAISED);
  EXPECT_EQ(outcome.usage().stdout_bytes(), 6);
  EXPECT_EQ(cell_->out, "second");
  EXPECT_TRUE(outcome.state_preserved());
}

TEST_F(HostSessionTest, TheNextCellCanBeginWhereTheEndOfOneIsTold) {
  (void)StartCell(1);
  RecordingObserver second;
  cell_->on_finished = [&] { sandbox_->RunCell({.number = 2}, v1::Program(), Limits(), &second); };
  SayCellFinished(1);
  AwaitCell();
  EXPECT_EQ(guest_->ReadHostFrame().execute_cell().number(), 2);
  SayCellFinished(2);
  RunUntil(&loop_, [&] { return second.finished(); });
  EXPECT_TRUE(second.outcome().state_preserved());
}

TEST_F(HostSessionTest, PastWallTimeACellIsInterruptedAndTheStateStays) {
  Limits limits;
  limits.wall_time = absl::Milliseconds(20);
  (void)StartCell(1, limits);
  RunUntil(&loop_, [this] { return !spawner_->Silent(); });
  EXPECT_EQ(spawner_->Next().signal_sandbox().signal(), SIGINT);
  SayCellFinished(1, Finished::KIND_RAISED, "KeyboardInterrupt");
  const Outcome outcome = AwaitCell();
  EXPECT_EQ(outcome.kind(), Outcome::KIND_WALL_TIMEOUT);
  EXPECT_THAT(outcome.detail(), HasSubstr("interrupted after 20ms of wall time"));
  EXPECT_EQ(outcome.exception().type(), "KeyboardInterrupt");
  EXPECT_TRUE(outcome.state_preserved());
}

TEST_F(HostSessionTest, AnInterruptIsRepeatedAndThenTheSandboxIsKilled) {
  (void)StartCell(1);
  sandbox_->Interrupt(absl::Milliseconds(250));
  const Outcome outcome = AwaitCell();
  EXPECT_EQ(outcome.kind(), Outcome::KIND_INTERRUPTED);
  EXPECT_FALSE(outcome.state_preserved());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(spawner_->Next().has_signal_sandbox()) << i;
  ExpectKill();
}

TEST_F(HostSessionTest, ACellWaitsUntilSignalsForTheOneBeforeHaveBeenSent) {
  (void)StartCell(1);
  sandbox_->Interrupt(absl::Seconds(5));
  SayCellFinished(1, Finished::KIND_RAISED, "KeyboardInterrupt");
  EXPECT_EQ(AwaitCell().kind(), Outcome::KIND_INTERRUPTED);
  cell_.emplace();
  sandbox_->RunCell({.number = 2}, v1::Program(), Limits(), &*cell_);
  Settle();
  EXPECT_FALSE(guest_->CanRead()) << "a late SIGINT would hit the new cell";
  SaySignaled();
  Settle();
  EXPECT_EQ(guest_->ReadHostFrame().execute_cell().number(), 2);
  SayCellFinished(2);
  EXPECT_EQ(AwaitCell().kind(), Outcome::KIND_SUCCEEDED);
}

TEST_F(HostSessionTest, PastTheOutputLimitTheRestIsDiscardedSoThatTheCellCanEnd) {
  Limits limits;
  limits.output_bytes = 4;
  (void)StartCell(1, limits);
  guest_->Write("123456");
  RunUntil(&loop_, [this] { return !spawner_->Silent(); });
  EXPECT_EQ(spawner_->Next().signal_sandbox().signal(), SIGINT);
  guest_->Write("more");
  SayCellFinished(1, Finished::KIND_RAISED, "KeyboardInterrupt");
  Outcome outcome = AwaitCell();
  EXPECT_EQ(outcome.kind(), Outcome::KIND_OUTPUT_LIMIT);
  EXPECT_EQ(outcome.truncated_stdout_bytes(), 6);
  EXPECT_EQ(cell_->out, "1234");
  EXPECT_TRUE(outcome.state_preserved());
  SaySignaled();
  Settle();
  (void)StartCell(2);
  guest_->Write("new");
  SayCellFinished(2);
  AwaitCell();
  EXPECT_EQ(cell_->out, "new");
}

TEST_F(HostSessionTest, ACrashInACellIsTheEndOfBoth) {
  (void)StartCell(1);
  spawner_->SayExited(guest_->Die(SIGSEGV));
  const Outcome outcome = AwaitCell();
  EXPECT_EQ(outcome.kind(), Outcome::KIND_SIGNALED);
  EXPECT_EQ(outcome.signal(), SIGSEGV);
  EXPECT_FALSE(outcome.state_preserved());
  EXPECT_FALSE(session_.lost.has_value()) << "the cell's end says it";
}

TEST_F(HostSessionTest, ACrashBetweenCellsIsNoticedWithItsReason) {
  internal::v1::SandboxExited exited = guest_->Die(SIGKILL);
  exited.set_oom_kill_count(1);
  spawner_->SayExited(exited);
  EXPECT_EQ(AwaitLoss().kind(), Outcome::KIND_MEMORY_LIMIT);
}

TEST_F(HostSessionTest, WordsOutOfTurnBetweenCellsEndTheSession) {
  SayCellFinished(1);
  EXPECT_EQ(AwaitLoss().kind(), Outcome::KIND_POLICY_VIOLATION);
  ExpectKill();
}

TEST_F(HostSessionTest, TheEndOfAnotherCellIsOutOfTurn) {
  (void)StartCell(1);
  SayCellFinished(2);
  const Outcome outcome = AwaitCell();
  EXPECT_EQ(outcome.kind(), Outcome::KIND_POLICY_VIOLATION);
  EXPECT_FALSE(outcome.state_preserved());
}

TEST_F(HostSessionTest, LateOutputIsToldWithItsCellInAndBetweenCells) {
  (void)StartCell(1);
  SayCellFinished(1);
  AwaitCell();
  SayLate(1, "between");
  RunUntil(&loop_, [this] { return !session_.late.empty(); });
  (void)StartCell(2);
  SayLate(1, "during");
  SayCellFinished(2);
  EXPECT_EQ(AwaitCell().kind(), Outcome::KIND_SUCCEEDED);
  EXPECT_THAT(session_.late, ElementsAre(std::pair<int64_t, std::string>(1, "between"),
                                         std::pair<int64_t, std::string>(1, "during")));
}

TEST_F(HostSessionTest, LateOutputOfACellThatNeverRanIsOutOfTurn) {
  SayLate(7, "x");
  EXPECT_EQ(AwaitLoss().kind(), Outcome::KIND_POLICY_VIOLATION);
}

TEST_F(HostSessionTest, InputIsAnsweredOnceForEachRequest) {
  (void)StartCell(1, Limits(), /*allow_input=*/true);
  EXPECT_FALSE(sandbox_->SendInput(0, "nobody asked"));
  GuestFrame frame;
  frame.mutable_input_request()->set_cell(1);
  frame.mutable_input_request()->mutable_request()->set_number(1);
  frame.mutable_input_request()->mutable_request()->set_prompt("? ");
  guest_->Say(frame);
  RunUntil(&loop_, [this] { return !cell_->events.empty(); });
  EXPECT_EQ(cell_->events[0].input_request().prompt(), "? ");
  EXPECT_FALSE(sandbox_->SendInput(2, "another one"));
  EXPECT_TRUE(sandbox_->SendInput(1, "yes"));
  EXPECT_FALSE(sandbox_->SendInput(1, "again"));
  const HostFrame answer = guest_->ReadHostFrame();
  EXPECT_EQ(answer.send_input().cell(), 1);
  EXPECT_EQ(answer.send_input().text(), "yes");
  SayCellFinished(1);
  AwaitCell();
}

TEST_F(HostSessionTest, PausedOutputHoldsDisplaysBackToo) {
  (void)StartCell(1);
  sandbox_->PauseOutput();
  GuestFrame frame;
  frame.mutable_display()->set_cell(1);
  guest_->Say(frame);
  guest_->Say(frame);
  SayCellFinished(1);
  Settle();
  EXPECT_EQ(cell_->events.size(), 1u) << "the one that was being read already";
  EXPECT_FALSE(cell_->finished());
  sandbox_->ResumeOutput();
  EXPECT_EQ(AwaitCell().kind(), Outcome::KIND_SUCCEEDED);
  EXPECT_EQ(cell_->events.size(), 2u);
}

TEST_F(HostSessionTest, StoppedWhileIdleItIsLostWithTheReason) {
  sandbox_->Stop(StopReason::kDeleted);
  EXPECT_FALSE(session_.lost.has_value()) << "inline";
  EXPECT_THAT(AwaitLoss().detail(), HasSubstr("deleted"));
}

TEST_F(HostSessionTest, AGuestThatCannotBeginIsNotOpened) {
  MakeSandbox(/*with_cgroup=*/true);
  session_ = RecordingSession();
  sandbox_->OpenSession({}, &session_);
  (void)guest_->ReadHostFrame();
  GuestFrame frame;
  frame.mutable_setup_failed()->set_message("place files: OSError: no space");
  guest_->Say(frame);
  RunUntil(&loop_, [this] { return session_.opened.has_value(); });
  EXPECT_TRUE(absl::IsResourceExhausted(*session_.opened)) << *session_.opened;
}

}  // namespace
}  // namespace cloister::sandbox
