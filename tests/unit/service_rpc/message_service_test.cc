// Messages and calls of clients, and what is refused of them.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "tests/unit/service_rpc/message_service_fixture.h"

namespace cloister::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using v1::ConnectRequest;
using v1::ConnectResponse;

TEST_F(MessageServiceTest, APostReachesTheInbox) {
  EXPECT_TRUE(Post(NewPost("hello")).ok());
  EXPECT_THAT(Inbox(), ElementsAre("hello"));
}

TEST_F(MessageServiceTest, BadPostsAreRefused) {
  v1::PostMessageRequest request = NewPost("x");
  request.clear_value();
  EXPECT_THAT(Post(request).error_message(), HasSubstr("value: is not set"));
  request = NewPost("x");
  request.clear_interpreter();
  EXPECT_EQ(ReasonIn(Post(request)), "FIELD_INVALID");
  request = NewPost("x");
  request.mutable_value()->set_reference(3);
  EXPECT_THAT(Post(request).error_message(), HasSubstr("value: "));
  request = NewPost(std::string((16 << 20) + 1, 'x'));
  EXPECT_EQ(ReasonIn(Post(request)), "FIELD_INVALID");
  request = NewPost("x");
  request.set_interpreter("sandboxes/none");
  EXPECT_EQ(ReasonIn(Post(request)), "SANDBOX_NOT_FOUND");
  WithMailbox([](FakeMailbox& mailbox) { mailbox.room = 0; });
  EXPECT_EQ(ReasonIn(Post(NewPost("x"))), "INBOX_FULL");
}

TEST_F(MessageServiceTest, MessagesGoBothWays) {
  SayPost("early");
  auto stream = Connect();
  EXPECT_EQ(stream->Read().message().string_value(), "early");
  stream->Post("to you");
  ASSERT_TRUE(AwaitInbox(1));
  EXPECT_THAT(Inbox(), ElementsAre("to you"));
  SayPost("to me");
  EXPECT_EQ(stream->Read().message().string_value(), "to me");
}

TEST_F(MessageServiceTest, AFullInboxStopsTheStreamAndNothingIsLost) {
  auto stream = Connect();
  WithMailbox([](FakeMailbox& mailbox) { mailbox.room = 0; });
  stream->Post("first");
  stream->Post("second");
  SayPost("the other way goes on");
  EXPECT_EQ(stream->Read().message().string_value(), "the other way goes on");
  EXPECT_THAT(Inbox(), SizeIs(0));
  WithMailbox([](FakeMailbox& mailbox) { mailbox.SayRoom(); });
  ASSERT_TRUE(AwaitInbox(2));
  EXPECT_THAT(Inbox(), ElementsAre("first", "second"));
}

TEST_F(MessageServiceTest, AHostFunctionIsCalled) {
  auto stream = Connect();
  v1::Value arguments;
  arguments.mutable_tuple_value()->add_items()->set_int_value(7);
  const int64_t asked =
      SayCall("f", *sandbox::CloneFromValue(arguments, sandbox::kResultCloneLimits));
  const v1::HostCall call = stream->Read().host_call();
  EXPECT_EQ(call.number(), 1);
  EXPECT_EQ(call.function(), "f");
  EXPECT_EQ(call.arguments(0).int_value(), 7);
  ConnectRequest answer;
  answer.mutable_host_call_result()->set_number(1);
  answer.mutable_host_call_result()->mutable_value()->set_string_value("result");
  EXPECT_TRUE(stream->Write(answer));
  EXPECT_EQ(ValueOf(AwaitAnswer(asked).value()).string_value(), "result");
  EXPECT_TRUE(stream->Write(answer));
  EXPECT_EQ(ReasonIn(stream->Finish()), "HOST_CALL_UNKNOWN");
}

TEST_F(MessageServiceTest, ATextForAnExceptionBecomesARemoteError) {
  auto stream = Connect();
  const int64_t asked = SayCall("f");
  ConnectRequest answer;
  answer.mutable_host_call_result()->set_number(stream->Read().host_call().number());
  answer.mutable_host_call_result()->mutable_exception()->set_text("it went wrong");
  EXPECT_TRUE(stream->Write(answer));
  const v1::Value error = ValueOf(AwaitAnswer(asked).exception());
  EXPECT_EQ(error.object_value().kind(), v1::Object::KIND_REMOTE_ERROR);
  EXPECT_THAT(error.DebugString(), HasSubstr("it went wrong"));
}

TEST_F(MessageServiceTest, ACancelledCallIsTold) {
  auto stream = Connect();
  const int64_t asked = SayCall("f");
  EXPECT_TRUE(stream->Read().has_host_call());
  WithMailbox([&](FakeMailbox& mailbox) { mailbox.SayGone(asked); });
  EXPECT_EQ(stream->Read().host_call_cancelled().number(), 1);
}

TEST_F(MessageServiceTest, ArgumentsThatCannotBeToldAreRefusedToTheCaller) {
  auto stream = Connect();
  v1::Value arguments;
  for (int i = 0; i < 1000; ++i) arguments.mutable_tuple_value()->add_items()->set_reference(0);
  arguments.add_shared()->set_bytearray_value(std::string(1 << 20, 'x'));
  const int64_t asked =
      SayCall("f", *sandbox::CloneFromValue(arguments, sandbox::kResultCloneLimits));
  EXPECT_EQ(AwaitAnswer(asked).failure().reason(), internal::v1::MailboxFailure::REASON_REFUSED);
  SayPost("goes on");
  EXPECT_EQ(stream->Read().message().string_value(), "goes on");
}

TEST_F(MessageServiceTest, ASecondClientIsRefusedAndTheFirstGoesOn) {
  auto stream = Connect();
  EXPECT_EQ(ReasonIn(ErrorOf(Opening())), "ALREADY_CONNECTED");
  SayPost("goes on");
  EXPECT_EQ(stream->Read().message().string_value(), "goes on");
}

TEST_F(MessageServiceTest, AClientThatVanishesEndsItsCallsAndMakesRoom) {
  int64_t asked = 0;
  {
    auto stream = Connect();
    asked = SayCall("f");
    EXPECT_TRUE(stream->Read().has_host_call());
  }
  EXPECT_EQ(AwaitAnswer(asked).failure().reason(), internal::v1::MailboxFailure::REASON_CLOSED);
  SayPost("for the next");
  auto next = Connect();
  EXPECT_EQ(next->Read().message().string_value(), "for the next");
}

TEST_F(MessageServiceTest, AHalfClosedStreamIsStillToldButAnswersNothing) {
  auto stream = Connect();
  stream->stream->WritesDone();
  const int64_t asked = SayCall("f");
  (void)AwaitAnswer(asked);
  SayPost("still told");
  ConnectResponse told;
  do {
    told = stream->Read();  // the call, where it was told before the server saw the end
  } while (told.has_host_call());
  EXPECT_EQ(told.message().string_value(), "still told");
}

TEST_F(MessageServiceTest, TheStreamEndsWithTheInterpreterBehindItsLastWords) {
  auto stream = Connect();
  SayPost("last words");
  server_.OnLoop([this] { guest()->Lose(v1::Outcome::KIND_SIGNALED); });
  EXPECT_EQ(stream->Read().message().string_value(), "last words");
  EXPECT_EQ(ReasonIn(stream->Finish()), "SANDBOX_LOST");
}

TEST_F(MessageServiceTest, BadOpeningsAreRefused) {
  const auto reason = [this](const std::function<void(v1::OpenConnection&)>& spoil) {
    ConnectRequest request = Opening();
    spoil(*request.mutable_open());
    const grpc::Status status = ErrorOf(request);
    EXPECT_EQ(ReasonIn(status), "FIELD_INVALID") << status.error_message();
    return status.error_message();
  };
  EXPECT_THAT(reason([](auto& open) { open.clear_interpreter(); }), HasSubstr("open.interpreter"));
  EXPECT_THAT(reason([](auto& open) { open.add_host_functions("no name"); }),
              HasSubstr("open.host_functions[1]"));
  EXPECT_THAT(reason([](auto& open) { open.add_host_functions("class"); }), HasSubstr("keyword"));
  EXPECT_THAT(reason([](auto& open) { open.add_host_functions("__class__"); }),
              HasSubstr("underscores"));
  EXPECT_THAT(reason([](auto& open) { open.add_host_functions(std::string(65, 'f')); }),
              HasSubstr("64 bytes"));
  EXPECT_THAT(reason([](auto& open) {
                for (int i = 0; i < 256; ++i) open.add_host_functions("f");
              }),
              HasSubstr("at most 256"));
  EXPECT_THAT(reason([](auto& open) { open.set_maximum_host_calls(65); }),
              HasSubstr("maximum_host_calls"));
  EXPECT_THAT(reason([](auto& open) { open.set_maximum_host_calls(-1); }),
              HasSubstr("maximum_host_calls"));
  EXPECT_THAT(reason([](auto& open) { open.mutable_host_call_timeout()->set_seconds(3601); }),
              HasSubstr("at most 1 h"));
  EXPECT_THAT(reason([](auto& open) { open.mutable_host_call_timeout()->set_seconds(-1); }),
              HasSubstr("more than 0"));
  EXPECT_THAT(reason([](auto& open) { open.mutable_host_call_timeout(); }),
              HasSubstr("more than 0"));
}

TEST_F(MessageServiceTest, RequestsOutOfTurnAreRefused) {
  ConnectRequest post;
  post.mutable_post()->set_int_value(1);
  EXPECT_THAT(ErrorOf(post).error_message(), HasSubstr("open: must come first"));
  EXPECT_EQ(ReasonIn(ErrorOf(ConnectRequest())), "FIELD_INVALID");
  auto stream = Begin();
  stream->stream->WritesDone();
  EXPECT_EQ(ReasonIn(stream->Finish()), "FIELD_INVALID");
  stream = Connect();
  EXPECT_TRUE(stream->Write(Opening()));
  EXPECT_THAT(stream->Finish().error_message(), HasSubstr("open: came twice"));
  stream = Connect();
  ConnectRequest answer;
  answer.mutable_host_call_result()->set_number(1);
  EXPECT_TRUE(stream->Write(answer));
  EXPECT_THAT(stream->Finish().error_message(), HasSubstr("neither"));
  stream = Connect();
  answer.mutable_host_call_result()->mutable_exception()->set_int_value(3);
  EXPECT_TRUE(stream->Write(answer));
  EXPECT_THAT(stream->Finish().error_message(), HasSubstr("is no exception"));
}

class QuietMessageServiceTest : public MessageServiceTest {
 protected:
  QuietMessageServiceTest() : MessageServiceTest({.keep_alive_interval = absl::Milliseconds(20)}) {}
};

TEST_F(QuietMessageServiceTest, AQuietStreamIsKeptAlive) {
  auto stream = Connect();
  EXPECT_TRUE(stream->Read().has_keep_alive());
  EXPECT_TRUE(stream->Read().has_keep_alive());
}

}  // namespace
}  // namespace cloister::testing
