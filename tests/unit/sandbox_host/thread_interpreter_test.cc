// Interpreters that share a process: what is said on its channel, and whose end is whose.

#include <signal.h>
#include <unistd.h>

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/sandbox_host/member_fixture.h"

namespace cloister::sandbox {
namespace {

using internal::v1::Finished;
using internal::v1::GuestFrame;
using internal::v1::HostFrame;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using v1::Outcome;

// One interpreter, with the test as its guest.
struct Made {
  RecordingSession session;
  std::optional<CreatedInterpreter> created;
  std::unique_ptr<FakeGuest> guest;
  internal::v1::CreateInterpreter request;
  std::optional<CellObserver> cell;
  std::optional<absl::Status> ended;
};

class ThreadInterpreterTest : public MemberTest {
 protected:
  void TearDown() override {
    made_.clear();
    MemberTest::TearDown();
  }

  Made& Ask(InterpreterSpec spec = {}) {
    Made& made = made_.emplace_back();
    sandbox_->CreateInterpreter(std::move(spec), &made.session, [&made](CreatedInterpreter created) {
      made.created = std::move(created);
    });
    return made;
  }

  // The process, as far as it has read what it is to be.
  HostFrame BeginProcess() {
    process_ = AnswerAddProcess();
    process_->SayReady();
    RunUntil(&loop_, [this] { return process_->CanRead(); });
    return process_->ReadHostFrame();
  }
  void StartProcess() {
    EXPECT_TRUE(BeginProcess().has_serve_interpreters());
    GuestFrame frame;
    frame.mutable_session_opened();
    process_->Say(frame);
  }

  HostFrame NextFrame(std::vector<UniqueFd>* descriptors = nullptr) {
    RunUntil(&loop_, [this] { return process_->CanRead(); });
    return process_->ReadHostFrame(descriptors);
  }
  void TakeRequest(Made& made) {
    std::vector<UniqueFd> ends;
    made.request = NextFrame(&ends).create_interpreter();
    ASSERT_EQ(ends.size(), 3u);
    made.guest = std::make_unique<FakeGuest>(0, std::move(ends));
  }
  void SayCreated(Made& made) {
    GuestFrame frame;
    frame.mutable_interpreter_created()->set_interpreter(made.request.interpreter());
    frame.mutable_interpreter_created()->set_thread_id(12345);
    process_->Say(frame);
    frame.mutable_session_opened();
    made.guest->Say(frame);
    RunUntil(&loop_, [&] { return made.created.has_value(); });
    ASSERT_TRUE(made.created->status.ok()) << made.created->status;
  }
  Made& Create(InterpreterSpec spec = {}) {
    Made& made = Ask(std::move(spec));
    if (process_ == nullptr) StartProcess();
    TakeRequest(made);
    SayCreated(made);
    return made;
  }

  void BeginCell(Made& made, int64_t number = 1) {
    made.cell.emplace();
    made.created->interpreter->RunCell({.number = number}, v1::Program(), Limits(), &*made.cell);
    RunUntil(&loop_, [&] { return made.guest->CanRead(); });
    EXPECT_EQ(made.guest->ReadHostFrame().execute_cell().number(), number);
  }
  static void Finish(Made& made, const std::string& exception = "", int64_t number = 1) {
    GuestFrame frame;
    frame.mutable_finished()->set_cell(number);
    frame.mutable_finished()->set_kind(exception.empty() ? Finished::KIND_SUCCEEDED
                                                         : Finished::KIND_RAISED);
    frame.mutable_finished()->mutable_exception()->set_type(exception);
    frame.mutable_finished()->mutable_memory()->set_current_bytes(77);
    made.guest->Say(frame);
  }
  Outcome AwaitCell(Made& made) {
    RunUntil(&loop_, [&] { return made.cell->finished(); });
    return made.cell->outcome();
  }
  Outcome AwaitLoss(Made& made) {
    RunUntil(&loop_, [&] { return made.session.lost.has_value(); });
    return made.session.lost.value_or(Outcome());
  }
  void End(Made& made) {
    made.created->interpreter->End([&made](const absl::Status& status) { made.ended = status; });
  }
  void SayEnded(Made& made) {
    made.guest.reset();  // its channel closes
    GuestFrame frame;
    frame.mutable_interpreter_ended()->set_interpreter(made.request.interpreter());
    process_->Say(frame);
  }
  bool ProcessIsKilled() {
    bool killed = false;
    while (!spawner_->Silent()) {
      killed |= spawner_->Next().kill_sandbox().sandbox_id() == process_->sandbox_id();
    }
    return killed;
  }

  std::list<Made> made_;
  std::unique_ptr<FakeGuest> process_;
};

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
