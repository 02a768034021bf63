// The ends a guest can come to, orderly, broken and by force, and the death of everything around
// it.

#include <signal.h>

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sandbox/wire/frame.h"
#include "tests/unit/sandbox_host/host_sandbox_fixture.h"

namespace cloister::sandbox {
namespace {

using internal::v1::Finished;
using ::testing::HasSubstr;
using v1::Outcome;

using HostSandboxEndTest = HostSandboxTest;

TEST_F(HostSandboxEndTest, AnExitWithoutAWordIsExited) {
  Start();
  guest_->Write("last words");
  internal::v1::SandboxExited exited = guest_->Exit(7);
  Settle();
  EXPECT_FALSE(observer_.finished()) << "only the spawner knows how it ended";
  spawner_->SayExited(std::move(exited));
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_EXITED);
  EXPECT_EQ(observer_.outcome().exit_code(), 7);
  EXPECT_EQ(observer_.out, "last words");
  EXPECT_EQ(observer_.outcome().usage().peak_memory_bytes(), 8192);
}

TEST_F(HostSandboxEndTest, AnEndByASignalIsSignaled) {
  Start();
  spawner_->SayExited(guest_->Die(SIGTERM));
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_SIGNALED);
  EXPECT_EQ(observer_.outcome().signal(), SIGTERM);
}

TEST_F(HostSandboxEndTest, AKillByTheKernelForMemoryIsMemoryLimit) {
  Start();
  internal::v1::SandboxExited exited = guest_->Die(SIGKILL);
  exited.set_oom_kill_count(1);
  spawner_->SayExited(std::move(exited));
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_MEMORY_LIMIT);
}

TEST_F(HostSandboxEndTest, AnEndBeforeATimeoutKeepsItsCauseHoweverLateItIsReported) {
  limits_.wall_time = absl::Milliseconds(20);
  Start();
  internal::v1::SandboxExited exited = guest_->Exit(3);
  const absl::Time start = loop_.Now();
  RunUntil(&loop_, [&] { return loop_.Now() > start + absl::Milliseconds(40); });
  EXPECT_FALSE(observer_.finished());
  spawner_->SayExited(std::move(exited));
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_EXITED);
}

TEST_F(HostSandboxEndTest, AnEndBeforeAStopKeepsItsCauseThoughAnotherProcessHoldsTheChannel) {
  Start();
  internal::v1::SandboxExited exited = guest_->Exit(3, FakeGuest::Ends::kStayOpen);
  sandbox_->Stop(StopReason::kCallerGone);
  Settle();
  EXPECT_FALSE(observer_.finished());
  spawner_->SayExited(std::move(exited));
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_EXITED);
}

TEST_F(HostSandboxEndTest, AnAnswerBeforeTheExitCounts) {
  Start();
  guest_->SayFinished();
  spawner_->SayExited(guest_->Die(SIGKILL));
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_SUCCEEDED);
}

TEST_F(HostSandboxEndTest, AGuestThatClosesItsChannelAndLivesOnIsKilledAndLost) {
  Start();
  guest_->CloseChannel();
  RunUntil(&loop_, [this] { return !spawner_->Silent(); });
  ExpectKill();
  spawner_->SayExited(guest_->Die(SIGKILL));
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_INTERPRETER_LOST);
  EXPECT_THAT(detail(), HasSubstr("closed its channel"));
}

TEST_F(HostSandboxEndTest, AGuestThatClosesEverythingAndExitsIsExited) {
  Start();
  guest_->CloseChannel();
  guest_->CloseOutput();
  Settle();
  spawner_->SayExited(guest_->Exit(0));
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_EXITED);
}

TEST_F(HostSandboxEndTest, TheDeathOfTheZygoteLosesTheInterpreter) {
  Start();
  internal::v1::SandboxExited exited = guest_->Die(SIGKILL);
  exited.clear_wait_code();  // the zygote took with it how its child ended
  spawner_->SayExited(std::move(exited));
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_INTERPRETER_LOST);
}

TEST_F(HostSandboxEndTest, TheDeathOfTheSpawnerLosesTheInterpreter) {
  Start();
  (void)guest_->Die(SIGKILL);
  spawner_->Die();
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_INTERPRETER_LOST);
  EXPECT_THAT(detail(), HasSubstr("spawner"));
}

// ---- broken frames ------------------------------------------------------------------------------

TEST_F(HostSandboxEndTest, GarbageIsAPolicyViolation) {
  Start();
  guest_->SayRaw(std::string("\x03\x00\x00\x00\xff\xff\xff", 7));
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_POLICY_VIOLATION);
  EXPECT_EQ(observer_.outcome().signal(), 0);
  ExpectKill();
}

TEST_F(HostSandboxEndTest, ALengthPastTheLimitIsAPolicyViolationBeforeAnyOfItArrives) {
  Start();
  guest_->SayRaw(std::string("\xff\xff\xff\x7f", 4));
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_POLICY_VIOLATION);
  EXPECT_THAT(detail(), HasSubstr("2147483647"));
}

TEST_F(HostSandboxEndTest, FramesOutOfTurnAreAPolicyViolation) {
  Start();
  guest_->SayReady();
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_POLICY_VIOLATION);
}

TEST_F(HostSandboxEndTest, AnEndOfNoKindIsAPolicyViolation) {
  Start();
  guest_->SayFinished(Finished::KIND_UNSPECIFIED);
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_POLICY_VIOLATION);
}

TEST_F(HostSandboxEndTest, AFrameThatNeverEndsIsEndedByWallTime) {
  limits_.wall_time = absl::Milliseconds(30);
  Start();
  guest_->SayRaw(std::string("\x00\x00\x00\x02some of it", 14));
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_WALL_TIMEOUT);
}

TEST_F(HostSandboxEndTest, WhatFollowsTheAnswerIsNobodysBusiness) {
  Start();
  guest_->SayFinished();
  guest_->SayRaw("garbage");
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_SUCCEEDED);
}

// ---- interrupts ---------------------------------------------------------------------------------

TEST_F(HostSandboxEndTest, AnAnsweredInterruptShowsItsException) {
  Start();
  sandbox_->Interrupt(absl::Seconds(5));
  const internal::v1::SpawnerRequest request = spawner_->Next();
  EXPECT_EQ(request.signal_sandbox().sandbox_id(), guest_->sandbox_id());
  EXPECT_EQ(request.signal_sandbox().signal(), SIGINT);
  internal::v1::GuestFrame frame;
  frame.mutable_finished()->set_kind(Finished::KIND_RAISED);
  frame.mutable_finished()->mutable_exception()->set_type("KeyboardInterrupt");
  guest_->Say(frame);
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_INTERRUPTED);
  EXPECT_EQ(observer_.outcome().exception().type(), "KeyboardInterrupt");
}

TEST_F(HostSandboxEndTest, AnIgnoredInterruptEndsInAKillAndSaysSo) {
  Start();
  sandbox_->Interrupt(absl::Milliseconds(20));
  (void)spawner_->Next();
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_INTERRUPTED);
  EXPECT_THAT(detail(), HasSubstr("not answered within 20ms"));
  ExpectKill();
}

TEST_F(HostSandboxEndTest, TheShortestGraceWinsAndOneSignalIsEnough) {
  Start();
  sandbox_->Interrupt(absl::Seconds(60));
  sandbox_->Interrupt(absl::Milliseconds(20));
  sandbox_->Interrupt(absl::Seconds(60));
  EXPECT_TRUE(spawner_->Next().has_signal_sandbox());
  EXPECT_TRUE(spawner_->Silent());
  RunUntilFinished();
  EXPECT_THAT(detail(), HasSubstr("20ms"));
}

TEST_F(HostSandboxEndTest, AGraceOfZeroKillsAtOnceButNotInline) {
  Start();
  sandbox_->Interrupt(absl::ZeroDuration());
  EXPECT_FALSE(observer_.finished());
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_INTERRUPTED);
  ExpectKill();
}

TEST_F(HostSandboxEndTest, InterruptsBeforeAndAfterDoNothing) {
  sandbox_->Interrupt(absl::ZeroDuration());
  Settle();
  EXPECT_TRUE(spawner_->Silent());
  Start();
  guest_->SayFinished();
  RunUntilFinished();
  ExpectKill();
  sandbox_->Interrupt(absl::Seconds(1));
  sandbox_->Stop(StopReason::kCallerGone);
  Settle();
  EXPECT_TRUE(spawner_->Silent());
  EXPECT_EQ(kind(), Outcome::KIND_SUCCEEDED);
}

TEST_F(HostSandboxEndTest, AnInterruptThatComesBeforeTheHandOverFollowsIt) {
  limits_.memory_bytes += 4096;
  Run();
  (void)spawner_->Next();  // the limits
  sandbox_->Interrupt(absl::Seconds(5));
  EXPECT_TRUE(spawner_->Silent());
  internal::v1::SpawnerEvent event;
  event.mutable_sandbox_limits_set()->set_sandbox_id(guest_->sandbox_id());
  spawner_->Say(event);
  RunUntil(&loop_, [this] { return !spawner_->Silent(); });
  EXPECT_EQ(spawner_->Next().signal_sandbox().signal(), SIGINT);
}

struct StopCase {
  StopReason reason;
  const char* detail;
};
class StopTest : public HostSandboxTest, public ::testing::WithParamInterface<StopCase> {};

TEST_P(StopTest, KillsAndReportsInterrupted) {
  Start();
  guest_->Write("partial");
  sandbox_->Stop(GetParam().reason);
  EXPECT_FALSE(observer_.finished()) << "inline";
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_INTERRUPTED);
  EXPECT_THAT(detail(), HasSubstr(GetParam().detail));
  EXPECT_EQ(observer_.out, "partial");
  ExpectKill();
}

INSTANTIATE_TEST_SUITE_P(Reasons, StopTest,
                         ::testing::Values(StopCase{StopReason::kCallerGone, "caller"},
                                           StopCase{StopReason::kInterrupt, "at once"},
                                           StopCase{StopReason::kShutdown, "stopping"}));

// ---- destruction --------------------------------------------------------------------------------

TEST_F(HostSandboxEndTest, DestroyedWhileIdleItIsKilled) {
  sandbox_.reset();
  ExpectKill();
}

TEST_F(HostSandboxEndTest, DestroyedWhileLimitsAreSetNothingMoreHappens) {
  limits_.memory_bytes += 4096;
  Run();
  (void)spawner_->Next();
  sandbox_.reset();
  ExpectKill();
  internal::v1::SpawnerEvent event;
  event.mutable_sandbox_limits_set()->set_sandbox_id(guest_->sandbox_id());
  spawner_->Say(event);
  Settle();
  EXPECT_FALSE(observer_.finished());
}

TEST_F(HostSandboxEndTest, DestroyedWhileTheProgramIsHalfHandedOver) {
  v1::Program program;
  program.set_stdin(std::string(8 << 20, 'i'));
  Run(std::move(program));
  sandbox_.reset();
  ExpectKill();
  Settle();
}

TEST_F(HostSandboxEndTest, DestroyedWhileRunningItReportsNothing) {
  Start();
  guest_->Write("unread");
  guest_->SayFinished();
  sandbox_->Stop(StopReason::kShutdown);
  sandbox_.reset();
  ExpectKill();
  Settle();
  EXPECT_FALSE(observer_.finished());
  EXPECT_EQ(observer_.out, "");
}

TEST_F(HostSandboxEndTest, DestroyedWhileItsExitIsAwaited) {
  Start();
  internal::v1::SandboxExited exited = guest_->Exit(0);
  Settle();
  sandbox_.reset();
  spawner_->SayExited(std::move(exited));
  Settle();
  EXPECT_FALSE(observer_.finished());
}

TEST_F(HostSandboxEndTest, DestroyedFromInsideItsEnd) {
  Start();
  observer_.on_finished = [this] { sandbox_.reset(); };
  guest_->SayFinished();
  RunUntilFinished();
  ExpectKill();
}

TEST_F(HostSandboxEndTest, DestroyedFromInsideItsEndByExit) {
  Start();
  observer_.on_finished = [this] { sandbox_.reset(); };
  spawner_->SayExited(guest_->Exit(0));
  RunUntilFinished();
  Settle();
  EXPECT_TRUE(spawner_->Silent()) << "nothing is left to kill";
}

TEST_F(HostSandboxEndTest, DestroyedFromInsideItsOutput) {
  Start();
  observer_.on_output = [this] { sandbox_.reset(); };
  guest_->Write("x");
  guest_->WriteError("y");
  RunUntil(&loop_, [this] { return sandbox_ == nullptr; });
  Settle();
  EXPECT_EQ(observer_.out.size() + observer_.err.size(), 1u);
  EXPECT_FALSE(observer_.finished());
}

TEST_F(HostSandboxEndTest, DestroyedFromInsideItsLastOutput) {
  Start();
  sandbox_->PauseOutput();
  observer_.on_output = [this] { sandbox_.reset(); };
  guest_->Write("x");
  guest_->SayFinished();
  RunUntil(&loop_, [this] { return sandbox_ == nullptr; });
  Settle();
  EXPECT_FALSE(observer_.finished());
}

TEST_F(HostSandboxEndTest, DestroyedFromInsideTheOutputThatOverflows) {
  limits_.output_bytes = 1;
  Start();
  observer_.on_output = [this] { sandbox_.reset(); };
  guest_->Write("xyz");
  RunUntil(&loop_, [this] { return sandbox_ == nullptr; });
  Settle();
  EXPECT_FALSE(observer_.finished());
}

TEST_F(HostSandboxEndTest, AGuestThatClaimsNotToHaveBegunIsNotBelieved) {
  Start();
  internal::v1::GuestFrame frame;
  frame.mutable_setup_failed()->set_message("a\nb" + std::string(1000, 'x'));
  guest_->Say(frame);
  RunUntilFinished();
  EXPECT_TRUE(observer_.end().status.ok()) << observer_.end().status;
  EXPECT_EQ(kind(), Outcome::KIND_INTERPRETER_LOST);
  EXPECT_LT(detail().size(), 300u);
  EXPECT_THAT(detail(), HasSubstr(": a bxxx"));
}

}  // namespace
}  // namespace cloister::sandbox
