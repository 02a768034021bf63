// Interpreters that share a process: what is said on its channel, and whose end is whose.

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

TEST_F(ThreadInterpreterTest, SharesOneProcess) {
  Made& one = Ask({.profile = InterpreterProfile::kIsolated,
                   .memory_bytes = 1000,
                   .environment = {{"A", "1"}},
                   .imports = {"json"}});
  Made& two = Ask({.profile = InterpreterProfile::kSharedGil});
  StartProcess();
  TakeRequest(one);
  TakeRequest(two);
  EXPECT_TRUE(spawner_->Silent()) << "one process for both";
  EXPECT_EQ(one.request.profile(), internal::v1::GIL_PROFILE_ISOLATED);
  EXPECT_EQ(one.request.memory_bytes(), 1000);
  EXPECT_EQ(one.request.environment().at("A"), "1");
  EXPECT_THAT(one.request.imports(), ElementsAre("json"));
  EXPECT_EQ(two.request.profile(), internal::v1::GIL_PROFILE_SHARED_GIL);
  EXPECT_NE(one.request.interpreter(), two.request.interpreter());
  SayCreated(two);
  SayCreated(one);
  BeginCell(one);
  BeginCell(two);
  one.guest->Write("one");
  two.guest->Write("two");
  Finish(one);
  Finish(two);
  EXPECT_EQ(AwaitCell(one).kind(), Outcome::KIND_SUCCEEDED);
  EXPECT_EQ(AwaitCell(two).kind(), Outcome::KIND_SUCCEEDED);
  EXPECT_EQ(one.cell->out, "one");
  EXPECT_EQ(two.cell->out, "two");
  EXPECT_EQ(one.created->interpreter->memory().current_bytes(), 77);
}

TEST_F(ThreadInterpreterTest, IsRefusedWhereThePythonOffersNone) {
  Made& one = Ask();
  (void)BeginProcess();
  GuestFrame frame;
  frame.mutable_setup_failed()->set_stage("interpreters");
  frame.mutable_setup_failed()->set_message("CPython 3.13 leaks");
  process_->Say(frame);
  RunUntil(&loop_, [&] { return one.created.has_value(); });
  EXPECT_EQ(one.created->status, absl::UnimplementedError("CPython 3.13 leaks"));
  EXPECT_TRUE(ProcessIsKilled());
}

TEST_F(ThreadInterpreterTest, SaysWhyItCouldNotBeMade) {
  Made& kept = Create();
  Made& one = Ask();
  TakeRequest(one);
  GuestFrame frame;
  frame.mutable_interpreter_failed()->set_interpreter(one.request.interpreter());
  frame.mutable_interpreter_failed()->set_message("no memory");
  process_->Say(frame);
  RunUntil(&loop_, [&] { return one.created.has_value(); });
  EXPECT_EQ(one.created->status, absl::InternalError("no memory"));
  BeginCell(kept);
  Finish(kept);
  EXPECT_EQ(AwaitCell(kept).kind(), Outcome::KIND_SUCCEEDED);
}

TEST_F(ThreadInterpreterTest, SaysWhichImportWasRefused) {
  Made& one = Ask({.imports = {"numpy"}});
  StartProcess();
  TakeRequest(one);
  GuestFrame frame;
  frame.mutable_import_failed()->set_module("numpy");
  frame.mutable_import_failed()->set_is_refused_by_profile(true);
  one.guest->Say(frame);
  RunUntil(&loop_, [&] { return one.created.has_value(); });
  EXPECT_EQ(one.created->status.code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(one.created->import_failed.has_value());
  EXPECT_TRUE(one.created->import_failed->is_refused_by_profile());
  // What was half made is ended.
  EXPECT_EQ(NextFrame().end_interpreter().interpreter(), one.request.interpreter());
}

TEST_F(ThreadInterpreterTest, IsEndedWhereNobodyWantsItAnyMore) {
  Made& kept = Create();
  Made& one = Ask({.imports = {"slow"}});
  TakeRequest(one);
  sandbox_->AbandonInterpreter(one.number);
  RunUntil(&loop_, [&] { return one.created.has_value(); });
  EXPECT_EQ(one.created->status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(NextFrame().end_interpreter().interpreter(), one.request.interpreter());
  SayEnded(one);
  BeginCell(kept);
  Finish(kept);
  EXPECT_EQ(AwaitCell(kept).kind(), Outcome::KIND_SUCCEEDED) << "the others go on";
}

// It may fail by itself as it is told to end; then the guest says nothing of the end.
TEST_F(ThreadInterpreterTest, MayFailAsItIsAbandoned) {
  Made& kept = Create();
  Made& one = Ask();
  TakeRequest(one);
  sandbox_->AbandonInterpreter(one.number);
  EXPECT_EQ(NextFrame().end_interpreter().interpreter(), one.request.interpreter());
  GuestFrame frame;
  frame.mutable_interpreter_failed()->set_interpreter(one.request.interpreter());
  process_->Say(frame);
  BeginCell(kept);
  Finish(kept);
  EXPECT_EQ(AwaitCell(kept).kind(), Outcome::KIND_SUCCEEDED);
  EXPECT_EQ(one.created->status.code(), absl::StatusCode::kCancelled);
}

TEST_F(ThreadInterpreterTest, LeavesNoProcessWhereNobodyWantsItBeforeThatBegan) {
  Made& one = Ask();
  (void)BeginProcess();
  sandbox_->AbandonInterpreter(one.number);
  GuestFrame frame;
  frame.mutable_session_opened();
  process_->Say(frame);
  RunUntil(&loop_, [&] { return one.created.has_value(); });
  EXPECT_EQ(one.created->status.code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(ProcessIsKilled());
}

TEST_F(ThreadInterpreterTest, IsInterruptedByAFrame) {
  Made& one = Create();
  BeginCell(one);
  one.created->interpreter->Interrupt(absl::Seconds(5));
  EXPECT_EQ(NextFrame().interrupt_interpreter().interpreter(), one.request.interpreter());
  Finish(one, "KeyboardInterrupt");
  EXPECT_EQ(AwaitCell(one).kind(), Outcome::KIND_INTERRUPTED);
  // The next cell is not handed over while an interrupt may be under way.
  one.cell.emplace();
  one.created->interpreter->RunCell({.number = 2}, v1::Program(), Limits(), &*one.cell);
  Settle();
  EXPECT_FALSE(one.guest->CanRead());
  GuestFrame frame;
  frame.mutable_interpreter_interrupted()->set_interpreter(one.request.interpreter());
  process_->Say(frame);
  EXPECT_TRUE(RunUntil(&loop_, [&] { return one.guest->CanRead(); }));
}

TEST_F(ThreadInterpreterTest, TakesItsProcessAlongWhereNoInterruptHelps) {
  Made& one = Create();
  Made& two = Create();
  Made& idle = Create();
  BeginCell(one);
  BeginCell(two);
  one.created->interpreter->Interrupt(absl::Milliseconds(30));
  EXPECT_EQ(AwaitCell(one).kind(), Outcome::KIND_INTERRUPTED);
  EXPECT_TRUE(ProcessIsKilled());
  EXPECT_FALSE(two.cell->finished());
  spawner_->SayExited(process_->Die(SIGKILL));
  EXPECT_EQ(AwaitCell(two).kind(), Outcome::KIND_INTERPRETER_LOST);
  EXPECT_THAT(two.cell->outcome().detail(), HasSubstr("another interpreter in it"));
  EXPECT_EQ(AwaitLoss(idle).kind(), Outcome::KIND_INTERPRETER_LOST);
  EXPECT_FALSE(session_.lost.has_value());
  // The next one gets a new process.
  Made& next = Ask();
  StartProcess();
  TakeRequest(next);
  SayCreated(next);
}

// What no guest of ours says on the process's channel.
using HostileFrame = std::function<void(int64_t own, GuestFrame*)>;
class HostileProcessTest : public ThreadInterpreterTest,
                           public ::testing::WithParamInterface<HostileFrame> {};

TEST_P(HostileProcessTest, BreaksTheProtocolForAll) {
  Made& one = Create();
  Made& idle = Create();
  BeginCell(one);
  GuestFrame frame;
  GetParam()(one.request.interpreter(), &frame);
  process_->Say(frame);
  EXPECT_EQ(AwaitCell(one).kind(), Outcome::KIND_POLICY_VIOLATION);
  EXPECT_EQ(AwaitLoss(idle).kind(), Outcome::KIND_POLICY_VIOLATION);
  EXPECT_TRUE(ProcessIsKilled());
  EXPECT_FALSE(session_.lost.has_value());
}

INSTANTIATE_TEST_SUITE_P(
    All, HostileProcessTest,
    ::testing::Values(
        [](int64_t own, GuestFrame* frame) {
          frame->mutable_interpreter_created()->set_interpreter(own);  // again
        },
        [](int64_t, GuestFrame* frame) {
          frame->mutable_interpreter_created()->set_interpreter(99);
        },
        [](int64_t own, GuestFrame* frame) {
          frame->mutable_interpreter_failed()->set_interpreter(own);
        },
        [](int64_t own, GuestFrame* frame) {
          frame->mutable_interpreter_ended()->set_interpreter(own);
        },
        [](int64_t own, GuestFrame* frame) {
          frame->mutable_interpreter_interrupted()->set_interpreter(own);
        },
        [](int64_t, GuestFrame* frame) { frame->mutable_session_opened(); },
        [](int64_t, GuestFrame* frame) { frame->mutable_finished()->set_cell(1); },
        [](int64_t, GuestFrame*) {}));

}  // namespace
}  // namespace cloister::sandbox
