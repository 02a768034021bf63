// Further processes of a live sandbox: how they come, and in which order ends are told.

#include "sandbox/host/member_process.h"

#include <signal.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/sandbox_host/member_fixture.h"

namespace cloister::sandbox {
namespace {

using ::testing::HasSubstr;

class RecordingUser final : public MemberProcess::User {
 public:
  void OnSignaled() override { ++signaled; }
  void OnExited(const internal::v1::SandboxExited& exit) override { exited = exit; }
  void OnSandboxEnded(HostStop why, const std::string& text) override {
    stop = why;
    detail = text;
    if (on_sandbox_ended) on_sandbox_ended();
  }

  int signaled = 0;
  std::optional<internal::v1::SandboxExited> exited;
  std::optional<HostStop> stop;
  std::string detail;
  std::function<void()> on_sandbox_ended;
};

class MemberProcessTest : public MemberTest {
 protected:
  void TearDown() override {
    member_.reset();
    MemberTest::TearDown();
  }

  absl::Status AwaitFailure() {
    RunUntil(&loop_, [this] { return failure_.has_value(); });
    return *failure_;
  }
  void Add() {
    home().AddProcess([this](const auto& made) { failure_ = made.status(); });
  }

  std::optional<absl::Status> failure_;
  RecordingUser user_;
  std::unique_ptr<MemberProcess> member_;
};

TEST_F(MemberProcessTest, IsHandedOverWhenItIsReady) {
  auto guest = AddMember(&member_);
  member_->SetUser(&user_);
  member_->parts()->SendSignal(SIGINT);
  const internal::v1::SignalSandbox asked = spawner_->Next().signal_sandbox();
  EXPECT_EQ(asked.sandbox_id(), guest->sandbox_id());
  internal::v1::SpawnerEvent event;
  event.mutable_sandbox_signaled()->set_sandbox_id(guest->sandbox_id());
  spawner_->Say(event);
  EXPECT_TRUE(RunUntil(&loop_, [&] { return user_.signaled == 1; }));
  EXPECT_EQ(member_->parts()->unanswered_signals, 0);
  member_.reset();
  EXPECT_EQ(spawner_->Next().kill_sandbox().sandbox_id(), guest->sandbox_id());
}

TEST_F(MemberProcessTest, SaysWhichStepFailed) {
  Add();
  auto guest = AnswerAddProcess();
  internal::v1::GuestFrame frame;
  frame.mutable_setup_failed()->set_stage("landlock");
  guest->Say(frame);
  EXPECT_THAT(AwaitFailure().ToString(), HasSubstr("landlock"));
  EXPECT_EQ(spawner_->Next().kill_sandbox().sandbox_id(), guest->sandbox_id());
}

TEST_F(MemberProcessTest, ThatSpeaksOutOfTurnBeforeItIsReadyIsKilled) {
  Add();
  auto guest = AnswerAddProcess();
  guest->SayFinished();
  EXPECT_EQ(AwaitFailure().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(spawner_->Next().kill_sandbox().sandbox_id(), guest->sandbox_id());
}

TEST_F(MemberProcessTest, TellsWhatTheSpawnerRefuses) {
  Add();
  internal::v1::SpawnerEvent event;
  event.mutable_sandbox_failed()->set_sandbox_id(spawner_->Next().add_process().process_id());
  event.mutable_sandbox_failed()->set_message("no more pids");
  spawner_->Say(event);
  EXPECT_EQ(AwaitFailure(), absl::InternalError("no more pids"));
}

TEST_F(MemberProcessTest, EndsAlone) {
  auto guest = AddMember(&member_);
  member_->SetUser(&user_);
  spawner_->SayExited(guest->Die(SIGSEGV));
  ASSERT_TRUE(RunUntil(&loop_, [&] { return user_.exited.has_value(); }));
  EXPECT_EQ(user_.exited->wait_status(), SIGSEGV);
  EXPECT_FALSE(session_.lost.has_value());
  member_.reset();
  EXPECT_TRUE(spawner_->Silent()) << "there is nothing left to kill";
}

TEST_F(MemberProcessTest, IsToldOfAnEndThatWas) {
  auto guest = AddMember(&member_);
  spawner_->SayExited(guest->Die(SIGSEGV));
  Settle();
  member_->SetUser(&user_);
  EXPECT_FALSE(user_.exited.has_value()) << "never inline";
  EXPECT_TRUE(RunUntil(&loop_, [&] { return user_.exited.has_value(); }));
}

TEST_F(MemberProcessTest, HearsOfItsSandboxesEndAfterThat) {
  auto guest = AddMember(&member_);
  member_->SetUser(&user_);
  // In the order in which the spawner reports.
  spawner_->SayExited(EndWithSandbox(guest.get()));
  Settle();
  EXPECT_FALSE(user_.stop.has_value());
  EXPECT_FALSE(user_.exited.has_value());
  user_.on_sandbox_ended = [this] { EXPECT_TRUE(session_.lost.has_value()); };
  spawner_->SayExited(guest_->Die(SIGSEGV));
  ASSERT_TRUE(RunUntil(&loop_, [&] { return user_.stop.has_value(); }));
  EXPECT_EQ(*user_.stop, HostStop::kLost);
  EXPECT_THAT(user_.detail, HasSubstr("its sandbox was lost: the process was ended by SIGSEGV"));
  EXPECT_FALSE(user_.exited.has_value());
}

TEST_F(MemberProcessTest, HearsWhyItsSandboxWasStopped) {
  auto guest = AddMember(&member_);
  member_->SetUser(&user_);
  (void)StartCell(1);
  sandbox_->Stop(StopReason::kDeleted);
  ASSERT_TRUE(RunUntil(&loop_, [&] { return user_.stop.has_value(); }));
  EXPECT_TRUE(cell_->finished()) << "the sandbox's own first";
  EXPECT_EQ(*user_.stop, HostStop::kDeleted);
}

TEST_F(MemberProcessTest, MayBeDestroyedByAnotherThatHears) {
  std::unique_ptr<MemberProcess> second;
  RecordingUser other;
  auto first_guest = AddMember(&member_);
  auto second_guest = AddMember(&second);
  member_->SetUser(&user_);
  second->SetUser(&other);
  user_.on_sandbox_ended = [&] { second.reset(); };
  other.on_sandbox_ended = [&] { member_.reset(); };
  spawner_->SayExited(guest_->Die(SIGSEGV));
  ASSERT_TRUE(RunUntil(&loop_, [&] { return user_.stop.has_value() || other.stop.has_value(); }));
  Settle();
  EXPECT_NE(user_.stop.has_value(), other.stop.has_value());
}

TEST_F(MemberProcessTest, IsRefusedWhereTheSandboxHasEnded) {
  Add();
  auto guest = AnswerAddProcess();
  spawner_->SayExited(guest_->Die(SIGKILL));
  spawner_->SayExited(EndWithSandbox(guest.get()));
  EXPECT_EQ(AwaitFailure().code(), absl::StatusCode::kUnavailable);
  failure_.reset();
  Add();
  EXPECT_EQ(AwaitFailure().code(), absl::StatusCode::kUnavailable);
}

TEST_F(MemberProcessTest, IsLostWithTheSpawner) {
  auto guest = AddMember(&member_);
  member_->SetUser(&user_);
  user_.on_sandbox_ended = [this] { EXPECT_TRUE(session_.lost.has_value()); };
  spawner_->Die();
  ASSERT_TRUE(RunUntil(&loop_, [&] { return user_.stop.has_value(); }));
  EXPECT_THAT(user_.detail, HasSubstr("the spawner was lost"));
}

}  // namespace
}  // namespace cloister::sandbox
