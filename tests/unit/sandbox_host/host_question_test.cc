// What a notebook asks of a live sandbox, and guests that answer wrongly, late or never.

#include <signal.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sandbox/host/notebook_exchange.h"
#include "tests/unit/sandbox_host/host_session_fixture.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;
using internal::v1::HostFrame;
using ::testing::HasSubstr;
using v1::Outcome;

using HostQuestionTest = HostSessionTest;

TEST_F(HostQuestionTest, QuestionsAreAnswered) {
  std::optional<absl::StatusOr<NotebookAnswer>> answer;
  v1::CompleteRequest complete;
  complete.set_interpreter("sandboxes/x");
  complete.set_code("pri");
  complete.set_cursor(3);
  sandbox_->Ask(complete, [&](auto got) { answer = std::move(got); });
  const HostFrame asked = guest_->ReadHostFrame();
  EXPECT_EQ(asked.complete().code(), "pri");
  EXPECT_EQ(asked.complete().interpreter(), "");
  GuestFrame frame;
  frame.mutable_completed()->set_end(3);
  frame.mutable_completed()->add_completions()->set_text("print");
  guest_->Say(frame);
  RunUntil(&loop_, [&] { return answer.has_value(); });
  ASSERT_TRUE(answer->ok()) << answer->status();
  EXPECT_EQ(std::get<v1::CompleteResponse>(**answer).completions(0).text(), "print");

  answer.reset();
  sandbox_->Ask(v1::InspectRequest(), [&](auto got) { answer = std::move(got); });
  (void)guest_->ReadHostFrame();
  frame.mutable_request_failed()->set_message("ValueError: no");
  guest_->Say(frame);
  RunUntil(&loop_, [&] { return answer.has_value(); });
  EXPECT_EQ(answer->status(), absl::UnknownError("ValueError: no"));
  (void)StartCell(1);
  SayCellFinished(1);
  EXPECT_EQ(AwaitCell().kind(), Outcome::KIND_SUCCEEDED);
}

TEST_F(HostQuestionTest, LateOutputMayComeBeforeAnAnswer) {
  (void)StartCell(1);
  SayCellFinished(1);
  AwaitCell();
  for (int i = 0; i < 20; ++i) {
    SayLate(1, std::string(60 << 10, 'x'));
    Settle();
  }
  EXPECT_LT(session_.late.size(), 20u) << "enough for a while";
  std::optional<absl::StatusOr<NotebookAnswer>> answer;
  sandbox_->Ask(v1::CheckCompleteRequest(), [&](auto got) { answer = std::move(got); });
  GuestFrame frame;
  frame.mutable_checked()->set_status(v1::CheckCompleteResponse::STATUS_COMPLETE);
  guest_->Say(frame);
  RunUntil(&loop_, [&] { return answer.has_value(); });
  EXPECT_TRUE(answer->ok());
  EXPECT_EQ(session_.late.size(), 20u);
}

TEST_F(HostQuestionTest, TheAnswerToAnotherQuestionBreaksTheProtocol) {
  std::optional<absl::StatusOr<NotebookAnswer>> answer;
  sandbox_->Ask(v1::InspectRequest(), [&](auto got) { answer = std::move(got); });
  GuestFrame frame;
  frame.mutable_completed();
  guest_->Say(frame);
  EXPECT_EQ(AwaitLoss().kind(), Outcome::KIND_POLICY_VIOLATION);
  ASSERT_TRUE(answer.has_value());
  EXPECT_TRUE(absl::IsUnavailable(answer->status()));
}

TEST_F(HostQuestionTest, AnAnswerNobodyAskedForBreaksTheProtocol) {
  GuestFrame frame;
  frame.mutable_checked()->set_status(v1::CheckCompleteResponse::STATUS_COMPLETE);
  guest_->Say(frame);
  EXPECT_EQ(AwaitLoss().kind(), Outcome::KIND_POLICY_VIOLATION);
}

TEST_F(HostQuestionTest, AQuestionThatTakesTooLongIsInterrupted) {
  std::optional<absl::StatusOr<NotebookAnswer>> answer;
  sandbox_->Ask(v1::InspectRequest(), [&](auto got) { answer = std::move(got); });
  loop_.CallAfter(NotebookExchange::kPatience + absl::Milliseconds(10), [&] {
    EXPECT_EQ(spawner_->Next().signal_sandbox().signal(), SIGINT);
    SaySignaled();
    GuestFrame frame;
    frame.mutable_request_failed()->set_message("KeyboardInterrupt");
    guest_->Say(frame);
  });
  RunUntil(&loop_, [&] { return answer.has_value(); });
  EXPECT_TRUE(absl::IsDeadlineExceeded(answer->status())) << answer->status();
  EXPECT_FALSE(session_.lost.has_value());
}

TEST_F(HostQuestionTest, AQuestionThatNoInterruptEndsCostsTheSandbox) {
  std::optional<absl::StatusOr<NotebookAnswer>> answer;
  sandbox_->Ask(v1::InspectRequest(), [&](auto got) { answer = std::move(got); });
  EXPECT_THAT(AwaitLoss().detail(), HasSubstr("did not end when interrupted"));
  EXPECT_TRUE(absl::IsUnavailable(answer->status())) << answer->status();
}

}  // namespace
}  // namespace cloister::sandbox
