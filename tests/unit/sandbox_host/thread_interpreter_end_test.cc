// Interpreters that share a process: whose end is whose.

#include <signal.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/sandbox_host/thread_interpreter_fixture.h"

namespace cloister::sandbox {
namespace {

using internal::v1::Finished;
using internal::v1::GuestFrame;
using internal::v1::HostFrame;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using v1::Outcome;

TEST_F(ThreadInterpreterTest, EndsWithAProcessThatDies) {
  Made& one = Create();
  Made& idle = Create();
  BeginCell(one);
  spawner_->SayExited(process_->Die(SIGSEGV));
  EXPECT_EQ(AwaitCell(one).kind(), Outcome::KIND_SIGNALED);
  EXPECT_EQ(AwaitLoss(idle).kind(), Outcome::KIND_SIGNALED);
}

TEST_F(ThreadInterpreterTest, EndsInGoodOrder) {
  Made& one = Create();
  Made& two = Create();
  BeginCell(one);
  End(one);
  EXPECT_EQ(NextFrame().interrupt_interpreter().interpreter(), one.request.interpreter());
  EXPECT_EQ(NextFrame().end_interpreter().interpreter(), one.request.interpreter());
  Finish(one, "KeyboardInterrupt");
  SayEnded(one);
  RunUntil(&loop_, [&] { return one.ended.has_value(); });
  EXPECT_TRUE(one.ended->ok()) << *one.ended;
  ASSERT_TRUE(one.cell->finished());
  EXPECT_EQ(one.cell->outcome().kind(), Outcome::KIND_INTERRUPTED);
  EXPECT_FALSE(one.session.lost.has_value());
  one.created->interpreter.reset();
  Settle();
  EXPECT_TRUE(spawner_->Silent()) << "the process goes on for the other";
  two.created->interpreter.reset();
  EXPECT_EQ(NextFrame().end_interpreter().interpreter(), two.request.interpreter());
  SayEnded(two);
  Settle();
  EXPECT_TRUE(ProcessIsKilled()) << "with its last interpreter it has nothing to do";
}

TEST_F(ThreadInterpreterTest, IsKilledWhereItDoesNotEnd) {
  Made& one = Create();
  Made& two = Create();
  End(one);
  one.guest.reset();  // its channel alone is no end
  RunUntil(&loop_, [&] { return one.ended.has_value(); });
  EXPECT_EQ(one.ended->code(), absl::StatusCode::kDeadlineExceeded);
  Settle();
  EXPECT_TRUE(ProcessIsKilled());
  spawner_->SayExited(process_->Die(SIGKILL));
  EXPECT_EQ(AwaitLoss(two).kind(), Outcome::KIND_INTERPRETER_LOST);
}

TEST_F(ThreadInterpreterTest, ThatClosesItsChannelIsKilled) {
  Made& one = Create();
  Made& two = Create();
  one.guest.reset();
  EXPECT_TRUE(RunUntil(&loop_, [&] { return !spawner_->Silent(); }));
  EXPECT_TRUE(ProcessIsKilled());
  spawner_->SayExited(process_->Die(SIGKILL));
  EXPECT_EQ(AwaitLoss(one).kind(), Outcome::KIND_INTERPRETER_LOST);
  EXPECT_THAT(one.session.lost->detail(), HasSubstr("closed its channel"));
  EXPECT_THAT(AwaitLoss(two).detail(), HasSubstr("another interpreter in it"));
}

TEST_F(ThreadInterpreterTest, EndsWithAProcessThatDiedBeforeItWasKilled) {
  Made& one = Create();
  Made& two = Create();
  one.guest.reset();
  EXPECT_TRUE(RunUntil(&loop_, [&] { return !spawner_->Silent(); }));
  EXPECT_TRUE(ProcessIsKilled());
  spawner_->SayExited(process_->Die(SIGABRT));
  EXPECT_EQ(AwaitLoss(two).kind(), Outcome::KIND_SIGNALED);
  EXPECT_EQ(AwaitLoss(one).kind(), Outcome::KIND_SIGNALED);
}

TEST_F(ThreadInterpreterTest, IsLostAfterItsSandbox) {
  Made& one = Create();
  BeginCell(one);
  one.cell->on_finished = [this] { EXPECT_TRUE(session_.lost.has_value()); };
  spawner_->SayExited(EndWithSandbox(process_.get()));
  spawner_->SayExited(guest_->Die(SIGSEGV));
  EXPECT_THAT(AwaitCell(one).detail(), HasSubstr("its sandbox was lost"));
}

TEST_F(ThreadInterpreterTest, StandsInTheWayOfAFork) {
  Made& one = Create({.profile = InterpreterProfile::kIsolated});
  absl::Status status;
  sandbox_->Fork({}, [&](const auto& forks) { status = forks.status(); });
  EXPECT_TRUE(RunUntil(&loop_, [&] { return !status.ok(); }));
  EXPECT_EQ(status, absl::FailedPreconditionError("an isolated interpreter is alive"));
  one.created->interpreter.reset();
}

TEST_F(ThreadInterpreterTest, MayGoWithItsSandboxAtAnyTime) {
  Made& one = Create();
  Made& two = Ask();
  one.created->interpreter.reset();
  sandbox_.reset();
  EXPECT_FALSE(two.created.has_value());
  Settle();
}

TEST_F(ThreadInterpreterTest, MayOutliveItsSandbox) {
  Made& one = Create();
  spawner_->SayExited(process_->Die(SIGKILL));
  EXPECT_EQ(AwaitLoss(one).kind(), Outcome::KIND_SIGNALED);
  sandbox_.reset();
  one.created->interpreter.reset();
  Settle();
}

TEST_F(ThreadInterpreterTest, MayEndItsSandboxWhileAnotherIsOpened) {
  Made& one = Create();
  Made& two = Ask();
  TakeRequest(two);
  BeginCell(one);
  one.cell->on_finished = [&] {
    one.created->interpreter.reset();
    sandbox_.reset();
  };
  spawner_->SayExited(process_->Die(SIGKILL));
  EXPECT_EQ(AwaitCell(one).kind(), Outcome::KIND_SIGNALED);
  EXPECT_FALSE(two.created.has_value());
  Settle();
}

}  // namespace
}  // namespace cloister::sandbox
