// Interpreters in processes of their own: how they open, run, end and are lost, each alone.

#include <signal.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/sandbox_host/member_fixture.h"

namespace cloister::sandbox {
namespace {

using internal::v1::Finished;
using internal::v1::GuestFrame;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using v1::Outcome;

class ProcessInterpreterTest : public MemberTest {
 protected:
  void TearDown() override {
    created_.reset();
    MemberTest::TearDown();
  }

  void Ask(InterpreterSpec spec = {}) {
    spec.profile = InterpreterProfile::kProcess;
    number_ = sandbox_->CreateInterpreter(
        std::move(spec), &observer_,
        [this](CreatedInterpreter created) { created_ = std::move(created); });
  }

  // As far as the guest has read what it is to be.
  void Create(InterpreterSpec spec = {}) {
    Ask(std::move(spec));
    member_ = AnswerAddProcess();
    member_->SayReady();
    RunUntil(&loop_, [this] { return member_->CanRead(); });
    opening_ = member_->ReadHostFrame();
  }

  CreatedInterpreter& AwaitCreated() {
    RunUntil(&loop_, [this] { return created_.has_value(); });
    return *created_;
  }

  void CreateOpen() {
    Create();
    GuestFrame frame;
    frame.mutable_session_opened();
    member_->Say(frame);
    ASSERT_TRUE(AwaitCreated().status.ok()) << created_->status;
  }

  Interpreter& interpreter() { return *created_->interpreter; }

  void RunMemberCell(int64_t number, const Limits& limits = Limits()) {
    member_cell_.emplace();
    interpreter().RunCell({.number = number}, v1::Program(), limits, &*member_cell_);
    EXPECT_EQ(member_->ReadHostFrame().execute_cell().number(), number);
  }
  Outcome AwaitMemberCell() {
    RunUntil(&loop_, [this] { return member_cell_->finished(); });
    return member_cell_->outcome();
  }

  void SayMemberFinished(int64_t number, const std::string& exception = "") {
    GuestFrame frame;
    frame.mutable_finished()->set_cell(number);
    frame.mutable_finished()->set_kind(exception.empty() ? Finished::KIND_SUCCEEDED
                                                         : Finished::KIND_RAISED);
    frame.mutable_finished()->mutable_exception()->set_type(exception);
    member_->Say(frame);
  }

  void End() {
    interpreter().End([this](const absl::Status& status) { ended_ = status; });
  }
  absl::Status AwaitEnded() {
    RunUntil(&loop_, [this] { return ended_.has_value(); });
    return ended_.value_or(absl::UnknownError("it never ended"));
  }

  int64_t number_ = 0;
  std::unique_ptr<FakeGuest> member_;
  internal::v1::HostFrame opening_;
  RecordingSession observer_;
  std::optional<CreatedInterpreter> created_;
  std::optional<CellObserver> member_cell_;
  std::optional<absl::Status> ended_;
};

TEST_F(ProcessInterpreterTest, OpensASessionOfItsOwn) {
  InterpreterSpec spec;
  spec.environment = {{"A", "1"}};
  spec.imports = {"json", "re"};
  Create(std::move(spec));
  const internal::v1::OpenSession& open = opening_.open_session();
  EXPECT_EQ(open.environment().at("A"), "1");
  EXPECT_THAT(open.imports(), ElementsAre("json", "re"));
  EXPECT_EQ(open.limits().data_bytes(), HostSessionTest::opening_.open_session().limits().data_bytes());
  GuestFrame frame;
  frame.mutable_session_opened();
  member_->Say(frame);
  ASSERT_TRUE(AwaitCreated().status.ok());
  EXPECT_FALSE(observer_.opened.has_value()) << "told by the answer alone";
}

TEST_F(ProcessInterpreterTest, RunsBesideMain) {
  CreateOpen();
  (void)StartCell(1);
  RunMemberCell(1);
  member_->Write("beside");
  SayMemberFinished(1);
  EXPECT_EQ(AwaitMemberCell().kind(), Outcome::KIND_SUCCEEDED);
  EXPECT_EQ(member_cell_->out, "beside");
  EXPECT_FALSE(cell_->finished());
  SayCellFinished(1);
  EXPECT_EQ(AwaitCell().kind(), Outcome::KIND_SUCCEEDED);
}

TEST_F(ProcessInterpreterTest, SaysWhichImportFailed) {
  Create({.imports = {"json", "nope"}});
  GuestFrame frame;
  frame.mutable_import_failed()->set_module("nope");
  frame.mutable_import_failed()->set_message("ModuleNotFoundError: No module named 'nope'");
  member_->Say(frame);
  EXPECT_EQ(AwaitCreated().status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(created_->interpreter, nullptr);
  ASSERT_TRUE(created_->import_failed.has_value());
  EXPECT_EQ(created_->import_failed->module(), "nope");
  EXPECT_EQ(spawner_->Next().kill_sandbox().sandbox_id(), member_->sandbox_id());
}

TEST_F(ProcessInterpreterTest, IsKilledWhereNobodyWantsItAnyMore) {
  Create({.imports = {"slow"}});
  sandbox_->AbandonInterpreter(number_);
  EXPECT_FALSE(created_.has_value()) << "never inline";
  sandbox_->AbandonInterpreter(number_);
  EXPECT_EQ(AwaitCreated().status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(created_->interpreter, nullptr);
  EXPECT_EQ(spawner_->Next().kill_sandbox().sandbox_id(), member_->sandbox_id());
}

TEST_F(ProcessInterpreterTest, IsKilledWhereNobodyWantsItBeforeItIsThere) {
  Ask();
  sandbox_->AbandonInterpreter(number_);
  member_ = AnswerAddProcess();
  member_->SayReady();
  EXPECT_EQ(AwaitCreated().status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(spawner_->Next().kill_sandbox().sandbox_id(), member_->sandbox_id());
}

TEST_F(ProcessInterpreterTest, IsNotAbandonedOnceItIsThere) {
  CreateOpen();
  sandbox_->AbandonInterpreter(number_);
  RunMemberCell(1);
  SayMemberFinished(1);
  EXPECT_EQ(AwaitMemberCell().kind(), Outcome::KIND_SUCCEEDED);
}

TEST_F(ProcessInterpreterTest, BelievesNoFailureOfWhatWasNotAskedFor) {
  Create({.imports = {"json"}});
  GuestFrame frame;
  frame.mutable_import_failed()->set_module("os");
  member_->Say(frame);
  EXPECT_EQ(AwaitCreated().status.code(), absl::StatusCode::kInternal);
  EXPECT_FALSE(created_->import_failed.has_value());
}

TEST_F(ProcessInterpreterTest, DoesNotFitWhereMemoryRunsOutWhileItOpens) {
  Create({.imports = {"json"}});
  internal::v1::SandboxExited exited = member_->Die(SIGKILL);
  exited.set_oom_kill_count(1);
  spawner_->SayExited(std::move(exited));
  EXPECT_EQ(AwaitCreated().status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(created_->status.message(), HasSubstr("limits.memory_bytes"));
}

TEST_F(ProcessInterpreterTest, IsLostAlone) {
  CreateOpen();
  spawner_->SayExited(member_->Die(SIGSEGV));
  ASSERT_TRUE(RunUntil(&loop_, [this] { return observer_.lost.has_value(); }));
  EXPECT_EQ(observer_.lost->kind(), Outcome::KIND_SIGNALED);
  EXPECT_FALSE(session_.lost.has_value());
  (void)StartCell(1);
  SayCellFinished(1);
  EXPECT_EQ(AwaitCell().kind(), Outcome::KIND_SUCCEEDED);
}

TEST_F(ProcessInterpreterTest, HasItsOwnMemoryKill) {
  CreateOpen();
  RunMemberCell(1);
  internal::v1::SandboxExited exited = member_->Die(SIGKILL);
  exited.set_oom_kill_count(1);
  spawner_->SayExited(std::move(exited));
  const Outcome outcome = AwaitMemberCell();
  EXPECT_EQ(outcome.kind(), Outcome::KIND_MEMORY_LIMIT);
  EXPECT_FALSE(outcome.state_preserved());
  EXPECT_FALSE(session_.lost.has_value());
}

TEST_F(ProcessInterpreterTest, ThatBreaksTheProtocolIsKilledAlone) {
  CreateOpen();
  RunMemberCell(1);
  SayMemberFinished(7);
  EXPECT_EQ(AwaitMemberCell().kind(), Outcome::KIND_POLICY_VIOLATION);
  EXPECT_EQ(spawner_->Next().kill_sandbox().sandbox_id(), member_->sandbox_id());
  EXPECT_TRUE(spawner_->Silent());
}

TEST_F(ProcessInterpreterTest, ClimbsTheLadderWithSignalsOfItsOwn) {
  CreateOpen();
  RunMemberCell(1);
  interpreter().Interrupt(absl::Milliseconds(50));
  RunUntil(&loop_, [this] { return member_cell_->finished(); });
  EXPECT_EQ(spawner_->Next().signal_sandbox().sandbox_id(), member_->sandbox_id());
  EXPECT_EQ(spawner_->Next().kill_sandbox().sandbox_id(), member_->sandbox_id());
  EXPECT_EQ(AwaitMemberCell().kind(), Outcome::KIND_INTERRUPTED);
}

TEST_F(ProcessInterpreterTest, EndsInGoodOrder) {
  CreateOpen();
  RunMemberCell(1);
  End();
  EXPECT_EQ(spawner_->Next().signal_sandbox().signal(), SIGINT);
  SayMemberFinished(1, "KeyboardInterrupt");
  EXPECT_EQ(AwaitMemberCell().kind(), Outcome::KIND_INTERRUPTED);
  EXPECT_FALSE(ended_.has_value());
  spawner_->SayExited(member_->Exit(0));
  EXPECT_TRUE(AwaitEnded().ok());
  EXPECT_FALSE(observer_.lost.has_value()) << "an end that was asked for is no loss";
}

TEST_F(ProcessInterpreterTest, IsKilledWhereItDoesNotEnd) {
  CreateOpen();
  RunMemberCell(1);
  End();
  EXPECT_EQ(AwaitEnded().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(member_cell_->finished()) << "what ran was told before";
  EXPECT_EQ(member_cell_->outcome().kind(), Outcome::KIND_INTERRUPTED);
  bool killed = false;
  while (!spawner_->Silent()) killed |= spawner_->Next().has_kill_sandbox();
  EXPECT_TRUE(killed);
}

TEST_F(ProcessInterpreterTest, EndsAtOnceWhereItWasLost) {
  CreateOpen();
  spawner_->SayExited(member_->Die(SIGSEGV));
  ASSERT_TRUE(RunUntil(&loop_, [this] { return observer_.lost.has_value(); }));
  End();
  EXPECT_FALSE(ended_.has_value()) << "never inline";
  EXPECT_TRUE(AwaitEnded().ok());
}

TEST_F(ProcessInterpreterTest, IsLostAfterItsSandbox) {
  CreateOpen();
  RunMemberCell(1);
  member_cell_->on_finished = [this] { EXPECT_TRUE(session_.lost.has_value()); };
  spawner_->SayExited(EndWithSandbox(member_.get()));
  spawner_->SayExited(guest_->Die(SIGSEGV));
  const Outcome outcome = AwaitMemberCell();
  EXPECT_EQ(outcome.kind(), Outcome::KIND_INTERPRETER_LOST);
  EXPECT_THAT(outcome.detail(), HasSubstr("its sandbox was lost: the process was ended by SIGSEGV"));
}

TEST_F(ProcessInterpreterTest, EndsAsItsSandboxWasStopped) {
  CreateOpen();
  RunMemberCell(1);
  sandbox_->Stop(StopReason::kDeleted);
  const Outcome outcome = AwaitMemberCell();
  EXPECT_EQ(outcome.kind(), Outcome::KIND_INTERRUPTED);
  EXPECT_THAT(outcome.detail(), HasSubstr("its sandbox was deleted"));
}

TEST_F(ProcessInterpreterTest, StandsInTheWayOfAForkWhileItLives) {
  CreateOpen();
  absl::Status status;
  sandbox_->Fork({}, [&](const auto& forks) { status = forks.status(); });
  EXPECT_TRUE(RunUntil(&loop_, [&] { return !status.ok(); }));
  EXPECT_EQ(status, absl::FailedPreconditionError("a process interpreter is alive"));
  created_->interpreter.reset();
  sandbox_->Fork({}, [](const auto&) {});
  Settle();  // whoever serves its files is asked to hold first
  EXPECT_TRUE(guest_->ReadHostFrame().has_prepare_fork());
}

TEST_F(ProcessInterpreterTest, MayGoWhileItOpens) {
  Create();
  sandbox_.reset();
  Settle();
  EXPECT_FALSE(created_.has_value());
}

}  // namespace
}  // namespace cloister::sandbox
