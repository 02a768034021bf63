// Messages and host calls between a client and a live interpreter.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "gmock/gmock.h"
#include "service/core/message_manager.h"
#include "tests/unit/service_core/interpreter_fixture.h"

namespace cloister::core {
namespace {

using internal::v1::MailboxFailure;
using internal::v1::MailboxReply;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class FakeClient final : public MessageListener {
 public:
  void OnMessages() override { ++told; }
  void OnPosted(const absl::Status& status) override { posted.push_back(status); }
  int told = 0;
  std::vector<absl::Status> posted;
};

class MessageTest : public InterpreterTest {
 protected:
  std::unique_ptr<MessageConnection> Connect(HostCallOptions options = {.functions = {"f", "g"}}) {
    auto connection = messages_.Connect(sandbox_, std::move(options), &client_);
    EXPECT_TRUE(connection.ok()) << connection.status();
    return connection.ok() ? *std::move(connection) : nullptr;
  }
  testing::FakeMailbox& mailbox() { return guest_->post; }
  absl::Status Post(const std::string& text, const std::string& name = "") {
    return messages_.Post(name.empty() ? sandbox_ : name, text, {});
  }
  // What the client posts on its stream.
  static ClientPost Sent(const std::string& text, int64_t credit_bytes = 1) {
    return {.clone = text, .credit_bytes = credit_bytes, .memory = {}};
  }
  MailboxFailure::Reason FailureOf(int64_t request) {
    return mailbox().answers[request].failure().reason();
  }
  static MailboxReply Value(const std::string& clone) {
    MailboxReply reply;
    reply.set_value(clone);
    return reply;
  }
  template <typename Event>
  static Event Expect(std::optional<MessageEvent> event) {
    EXPECT_TRUE(event.has_value() && std::holds_alternative<Event>(*event));
    return event.has_value() && std::holds_alternative<Event>(*event) ? std::get<Event>(*event)
                                                                      : Event();
  }

  MessageManager messages_{&sandboxes_};
  FakeClient client_;
};

TEST_F(MessageTest, MessagesGoIntoTheInbox) {
  EXPECT_TRUE(Post("first").ok());
  EXPECT_TRUE(Post("second", sandbox_ + "/interpreters/main").ok());
  EXPECT_THAT(mailbox().inbox, ElementsAre("first", "second"));
  const std::string other = Make("other");
  EXPECT_TRUE(Post("third", other).ok());
  EXPECT_THAT(fake(0)->post.inbox, ElementsAre("third"));
}

TEST_F(MessageTest, AFullInboxIsSaid) {
  mailbox().room = 3;
  EXPECT_TRUE(Post("fit").ok());
  const absl::Status full = Post("does not fit");
  EXPECT_EQ(ReasonOf(full), v1::ERROR_REASON_INBOX_FULL);
  EXPECT_TRUE(RetryDelayOf(full).has_value());
  EXPECT_EQ(MetadataOf(full, "maximum"), "16777216");
  mailbox().room = 100;
  mailbox().post_error = absl::UnavailableError("closed");
  EXPECT_EQ(ReasonOf(Post("x")), v1::ERROR_REASON_INTERPRETER_LOST);
}

TEST_F(MessageTest, UnknownAndLostOnesAreRefused) {
  EXPECT_EQ(ReasonOf(Post("x", "sandboxes/none")), v1::ERROR_REASON_SANDBOX_NOT_FOUND);
  EXPECT_EQ(ReasonOf(Post("x", sandbox_ + "/interpreters/none")),
            v1::ERROR_REASON_INTERPRETER_NOT_FOUND);
  guest_->Lose(v1::Outcome::KIND_SIGNALED);
  EXPECT_EQ(ReasonOf(Post("x")), v1::ERROR_REASON_SANDBOX_LOST);
  EXPECT_EQ(ReasonOf(messages_.Connect(sandbox_, {}, &client_).status()),
            v1::ERROR_REASON_SANDBOX_LOST);
}

TEST_F(MessageTest, WhatMessagesHoldIsKeptUntilTheyAreSent) {
  class Bytes final : public CallObserver {
   public:
    void OnRequestBytes(int64_t change) override { held += change; }
    int64_t held = 0;
  } bytes;
  RequestMemory memory(100, &bytes);
  EXPECT_TRUE(messages_.Post(sandbox_, "x", *memory.Take(70)).ok());
  EXPECT_EQ(bytes.held, 70);
  EXPECT_EQ(ReasonOf(memory.Take(70).status()), v1::ERROR_REASON_OVERLOADED);
  mailbox().held.clear();
  EXPECT_EQ(bytes.held, 0);
}

TEST_F(MessageTest, PostsWaitForAClient) {
  EXPECT_TRUE(mailbox().SayPost("early"));
  const auto connection = Connect();
  EXPECT_EQ(Expect<PostedMessage>(connection->Take()).clone, "early");
  EXPECT_FALSE(connection->Take().has_value());
  EXPECT_TRUE(mailbox().SayPost("late"));
  EXPECT_EQ(client_.told, 1);
  EXPECT_EQ(Expect<PostedMessage>(connection->Take()).clone, "late");
}

TEST_F(MessageTest, WhatWaitsIsBounded) {
  const std::string half(InterpreterMail::kMaxWaitingBytes / 2, 'x');
  EXPECT_TRUE(mailbox().SayPost(half));
  EXPECT_FALSE(mailbox().SayPost(half)) << "no more is read";
  const auto connection = Connect();
  EXPECT_EQ(mailbox().resumed, 0);
  (void)connection->Take();
  EXPECT_EQ(mailbox().resumed, 1);
  (void)connection->Take();
  EXPECT_EQ(mailbox().resumed, 1);
}

TEST_F(MessageTest, WhatTheInboxHasNoRoomForWaitsInOrder) {
  const auto connection = Connect();
  mailbox().room = 0;
  for (const char* text : {"a", "b"}) EXPECT_TRUE(connection->Post(Sent(text)).ok());
  EXPECT_FALSE(connection->is_past_credit());
  EXPECT_THAT(mailbox().inbox, SizeIs(0));
  mailbox().SayRoom();
  EXPECT_THAT(mailbox().inbox, ElementsAre("a", "b"));
  EXPECT_TRUE(connection->Post(Sent("c")).ok());
  EXPECT_THAT(mailbox().inbox, ElementsAre("a", "b", "c"));
  EXPECT_THAT(client_.posted, ElementsAre(absl::OkStatus()));
}

TEST_F(MessageTest, CreditComesBackAsPostsGoIntoTheInbox) {
  constexpr int64_t kHalf = MessageConnection::kPostCreditBytes / 2;
  const auto connection = Connect();
  EXPECT_TRUE(connection->Post(Sent("little")).ok());
  EXPECT_FALSE(connection->Take().has_value()) << "not for each post";
  mailbox().room = 0;
  EXPECT_TRUE(connection->Post(Sent("half", kHalf)).ok());
  EXPECT_FALSE(connection->Take().has_value()) << "it is not there yet";
  mailbox().SayRoom();
  EXPECT_EQ(Expect<PostCredit>(connection->Take()).bytes, kHalf + 1);
  EXPECT_FALSE(connection->Take().has_value());
}

TEST_F(MessageTest, AClientThatKeepsToItsCreditIsNeverPastIt) {
  constexpr int64_t kAll = MessageConnection::kPostCreditBytes;
  const auto connection = Connect();
  mailbox().room = 0;
  EXPECT_TRUE(connection->Post(Sent("almost all", kAll - 1)).ok());
  EXPECT_TRUE(connection->Post(Sent("however large", 16 * kAll)).ok());
  EXPECT_FALSE(connection->is_past_credit()) << "there was some";
  EXPECT_TRUE(connection->Post(Sent("x")).ok());
  EXPECT_TRUE(connection->is_past_credit()) << "there was none";
  mailbox().SayRoom();
  EXPECT_FALSE(connection->is_past_credit());
  EXPECT_THAT(mailbox().inbox, SizeIs(3)) << "and nothing is lost";
}

TEST_F(MessageTest, WhatWaitsIsToldWhenNobodyWillReadIt) {
  auto connection = Connect();
  mailbox().room = 0;
  EXPECT_TRUE(connection->Post(Sent("x")).ok());
  mailbox().post_error = absl::UnavailableError("closed");
  mailbox().SayRoom();
  ASSERT_THAT(client_.posted, SizeIs(1));
  EXPECT_EQ(ReasonOf(client_.posted[0]), v1::ERROR_REASON_INTERPRETER_LOST);
}

TEST_F(MessageTest, OneClientAtATime) {
  auto connection = Connect();
  FakeClient second;
  EXPECT_EQ(ReasonOf(messages_.Connect(sandbox_, {}, &second).status()),
            v1::ERROR_REASON_ALREADY_CONNECTED);
  EXPECT_TRUE(mailbox().SayPost("for the next"));
  connection.reset();
  const auto next = messages_.Connect(sandbox_, {}, &second);
  ASSERT_TRUE(next.ok());
  EXPECT_EQ(Expect<PostedMessage>((*next)->Take()).clone, "for the next");
}

TEST_F(MessageTest, AHostCallIsAnswered) {
  const auto connection = Connect();
  const int64_t request = mailbox().SayCallHost("f");
  EXPECT_EQ(client_.told, 1);
  const HostCall call = Expect<HostCall>(connection->Take());
  EXPECT_EQ(call.number, 1);
  EXPECT_EQ(call.call.function(), "f");
  EXPECT_TRUE(connection->Answer(1, Value("result")).ok());
  EXPECT_EQ(mailbox().answers[request].value(), "result");
  EXPECT_EQ(ReasonOf(connection->Answer(1, Value("again"))), v1::ERROR_REASON_HOST_CALL_UNKNOWN);
  EXPECT_EQ(MetadataOf(connection->Answer(7, Value("never")), "call"), "7");
  EXPECT_THAT(observer_.host_calls, ElementsAre(HostCallResult::kReturned));
}

TEST_F(MessageTest, ACallIsToldBehindWhatWasPostedBeforeItAndNothingElse) {
  const auto connection = Connect();
  EXPECT_TRUE(mailbox().SayPost("before"));
  mailbox().SayCallHost("f");
  EXPECT_TRUE(mailbox().SayPost("after"));
  EXPECT_EQ(Expect<PostedMessage>(connection->Take()).clone, "before");
  EXPECT_EQ(Expect<HostCall>(connection->Take()).call.function(), "f");
  EXPECT_EQ(Expect<PostedMessage>(connection->Take()).clone, "after");
}

TEST_F(MessageTest, OnlyWhatIsOfferedIsCalled) {
  EXPECT_EQ(FailureOf(mailbox().SayCallHost("f")), MailboxFailure::REASON_NOT_FOUND);
  const auto connection = Connect();
  const int64_t request = mailbox().SayCallHost("other");
  EXPECT_EQ(FailureOf(request), MailboxFailure::REASON_NOT_FOUND);
  EXPECT_THAT(mailbox().answers[request].failure().message(), HasSubstr("other"));
  EXPECT_FALSE(connection->Take().has_value());
}

TEST_F(MessageTest, MoreCallsThanAllowedWait) {
  const auto connection = Connect({.functions = {"f"}, .maximum = 2});
  for (int i = 0; i < 3; ++i) mailbox().SayCallHost("f");
  EXPECT_EQ(Expect<HostCall>(connection->Take()).number, 1);
  EXPECT_EQ(Expect<HostCall>(connection->Take()).number, 2);
  EXPECT_FALSE(connection->Take().has_value());
  const int told = client_.told;
  EXPECT_TRUE(connection->Answer(2, Value("x")).ok());
  EXPECT_EQ(client_.told, told + 1);
  EXPECT_EQ(Expect<HostCall>(connection->Take()).number, 3);
}

TEST_F(MessageTest, ACallThatTakesTooLongEnds) {
  const auto connection = Connect({.functions = {"f"}, .timeout = absl::Seconds(5)});
  const int64_t told = mailbox().SayCallHost("f");
  EXPECT_EQ(Expect<HostCall>(connection->Take()).number, 1);
  loop_.Advance(absl::Seconds(3));
  const int64_t untold = mailbox().SayCallHost("f");
  loop_.Advance(absl::Seconds(2));
  EXPECT_EQ(FailureOf(told), MailboxFailure::REASON_ENDED);
  EXPECT_THAT(mailbox().answers[told].failure().message(), HasSubstr("did not answer within 5s"));
  EXPECT_FALSE(mailbox().answers.contains(untold));
  loop_.Advance(absl::Seconds(3));
  EXPECT_EQ(FailureOf(untold), MailboxFailure::REASON_ENDED);
  EXPECT_EQ(Expect<HostCallCancelled>(connection->Take()).number, 1);
  EXPECT_FALSE(connection->Take().has_value()) << "of the other the client never knew";
  EXPECT_TRUE(connection->Answer(1, Value("too late")).ok()) << "it crossed";
  EXPECT_EQ(ReasonOf(connection->Answer(1, Value("twice"))), v1::ERROR_REASON_HOST_CALL_UNKNOWN);
}

TEST_F(MessageTest, ACallerThatGoesCancelsItsCall) {
  const auto connection = Connect();
  const int64_t told = mailbox().SayCallHost("f");
  (void)connection->Take();
  const int64_t untold = mailbox().SayCallHost("g");
  mailbox().SayGone(untold);
  EXPECT_FALSE(connection->Take().has_value());
  mailbox().SayGone(told);
  EXPECT_EQ(Expect<HostCallCancelled>(connection->Take()).number, 1);
  EXPECT_TRUE(mailbox().answers.empty());
  loop_.Advance(absl::Minutes(5));
  EXPECT_TRUE(mailbox().answers.empty()) << "no timer is left";
}

TEST_F(MessageTest, CallsEndWithTheClient) {
  auto connection = Connect();
  const int64_t told = mailbox().SayCallHost("f");
  (void)connection->Take();
  const int64_t untold = mailbox().SayCallHost("f");
  connection.reset();
  EXPECT_EQ(FailureOf(told), MailboxFailure::REASON_CLOSED);
  EXPECT_EQ(FailureOf(untold), MailboxFailure::REASON_CLOSED);
  EXPECT_THAT(observer_.host_calls, ElementsAre(HostCallResult::kClosed, HostCallResult::kClosed));
}

TEST_F(MessageTest, AClientThatAnswersNoMoreOffersNothing) {
  const auto connection = Connect();
  const int64_t before = mailbox().SayCallHost("f");
  (void)connection->Take();
  connection->CloseCalls();
  EXPECT_EQ(FailureOf(before), MailboxFailure::REASON_CLOSED);
  EXPECT_EQ(FailureOf(mailbox().SayCallHost("f")), MailboxFailure::REASON_NOT_FOUND);
  EXPECT_TRUE(mailbox().SayPost("still told"));
  EXPECT_EQ(Expect<PostedMessage>(connection->Take()).clone, "still told");
}

TEST_F(MessageTest, TheEndComesBehindWhatWasPosted) {
  const auto connection = Connect();
  mailbox().SayCallHost("f");
  (void)connection->Take();
  EXPECT_TRUE(mailbox().SayPost("last words"));
  guest_->Lose(v1::Outcome::KIND_EXITED);
  EXPECT_FALSE(connection->AtEnd());
  EXPECT_EQ(Expect<PostedMessage>(connection->Take()).clone, "last words");
  EXPECT_FALSE(connection->Take().has_value());
  EXPECT_TRUE(connection->AtEnd());
  EXPECT_EQ(ReasonOf(connection->end()), v1::ERROR_REASON_SANDBOX_LOST);
  EXPECT_TRUE(connection->Answer(1, Value("late")).ok());
  EXPECT_EQ(ReasonOf(connection->Post(Sent("x"))), v1::ERROR_REASON_SANDBOX_LOST);
  EXPECT_EQ(observer_.connected, 0);
}

TEST_F(MessageTest, ADeletedSandboxEndsItsStream) {
  const auto connection = Connect();
  EXPECT_TRUE(sandboxes_.Delete(sandbox_).ok());
  EXPECT_EQ(ReasonOf(connection->end()), v1::ERROR_REASON_SANDBOX_NOT_FOUND);
}

TEST_F(MessageTest, ARestartBeginsAnew) {
  EXPECT_TRUE(mailbox().SayPost("of the first start"));
  const std::shared_ptr<const bool> first_is_served = mailbox().is_served();
  EXPECT_TRUE(sandboxes_.Restart(sandbox_, absl::InfiniteFuture(), [](const auto&) {}).ok());
  EXPECT_EQ(ReasonOf(Post("meanwhile")), v1::ERROR_REASON_OVERLOADED);
  EXPECT_FALSE(*first_is_served);
  const auto connection = Connect();
  EXPECT_TRUE(connection->Post(Sent("waits")).ok());
  guest_ = source_.Grant();
  loop_.Run();
  EXPECT_THAT(client_.posted, ElementsAre(absl::OkStatus()));
  EXPECT_THAT(mailbox().inbox, ElementsAre("waits"));
  EXPECT_FALSE(connection->Take().has_value());
  EXPECT_TRUE(mailbox().SayPost("of the second"));
  EXPECT_EQ(Expect<PostedMessage>(connection->Take()).clone, "of the second");
}

TEST_F(MessageTest, AFurtherInterpretersStreamEndsWithIt) {
  const std::string name = Make("other");
  auto connection = messages_.Connect(name, {.functions = {"f"}}, &client_);
  ASSERT_TRUE(connection.ok());
  fake(0)->Lose(v1::Outcome::KIND_SIGNALED);
  EXPECT_EQ(ReasonOf((*connection)->end()), v1::ERROR_REASON_INTERPRETER_LOST);
}

TEST_F(MessageTest, MessagesAreUse) {
  loop_.Advance(absl::Minutes(9));
  EXPECT_TRUE(Post("x").ok());
  loop_.Advance(absl::Minutes(9));
  EXPECT_EQ(State(sandbox_), v1::Sandbox::STATE_READY);
  loop_.Advance(absl::Minutes(2));
  EXPECT_EQ(ReasonOf(Post("x")), v1::ERROR_REASON_SANDBOX_EXPIRED);
}

}  // namespace
}  // namespace cloister::core
