// MessageService through a real gRPC server; the interpreter's mailbox is the test's.

#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/create_channel_posix.h"
#include "grpcpp/server_posix.h"
#include "gtest/gtest.h"
#include "sandbox/clone/value.h"
#include "tests/unit/service_rpc/test_server.h"

namespace cloister::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using v1::ConnectRequest;
using v1::ConnectResponse;

std::string CloneOf(const std::string& text) {
  v1::Value value;
  value.set_string_value(text);
  return *sandbox::CloneFromValue(value, sandbox::kResultCloneLimits);
}
v1::Value ValueOf(const std::string& clone) {
  return sandbox::ValueFromClone(clone, sandbox::kResultCloneLimits).value_or(v1::Value());
}

class MessageServiceTest : public ::testing::Test {
 protected:
  explicit MessageServiceTest(TestServerOptions options = {})
      : server_([](FakeSandbox& sandbox) { sandbox.Finish(); }, options) {
    sandbox_ = server_.MakeSandbox();
  }

  FakeSandbox* guest() {
    for (const auto& [id, sandbox] : server_.factory().live()) {
      if (sandbox->session().has_value()) return sandbox;
    }
    return nullptr;
  }
  // Runs `function` with the mailbox on the loop.
  template <typename Function>
  auto WithMailbox(Function function) {
    return server_.OnLoop([&] { return function(guest()->post); });
  }
  bool SayPost(const std::string& text) {
    return WithMailbox([&](FakeMailbox& mailbox) { return mailbox.SayPost(CloneOf(text)); });
  }
  int64_t SayCall(const std::string& function, const std::string& arguments = "") {
    return WithMailbox([&](FakeMailbox& mailbox) {
      internal::v1::MailboxRequest request;
      request.mutable_call_host()->set_function(function);
      request.mutable_call_host()->set_arguments(arguments);
      return mailbox.Say(std::move(request));
    });
  }
  std::vector<std::string> Inbox() {
    std::vector<std::string> texts;
    for (const std::string& clone :
         WithMailbox([](FakeMailbox& mailbox) { return mailbox.inbox; })) {
      texts.push_back(ValueOf(clone).string_value());
    }
    return texts;
  }
  bool AwaitInbox(size_t count) {
    return server_.WaitOnLoop([&] { return guest()->post.inbox.size() >= count; });
  }
  internal::v1::MailboxReply AwaitAnswer(int64_t request) {
    EXPECT_TRUE(server_.WaitOnLoop([&] { return guest()->post.answers.contains(request); }));
    return WithMailbox([&](FakeMailbox& mailbox) { return mailbox.answers[request]; });
  }

  grpc::Status Post(const v1::PostMessageRequest& request) {
    grpc::ClientContext context;
    v1::PostMessageResponse response;
    return server_.messages().PostMessage(&context, request, &response);
  }
  v1::PostMessageRequest NewPost(const std::string& text) const {
    v1::PostMessageRequest request;
    request.set_interpreter(sandbox_);
    request.mutable_value()->set_string_value(text);
    return request;
  }

  struct Stream {
    ~Stream() {
      context.TryCancel();
      if (!is_finished) (void)Finish();
    }
    bool Write(const ConnectRequest& request) { return stream->Write(request); }
    void Post(const std::string& text) {
      ConnectRequest request;
      request.mutable_post()->set_string_value(text);
      EXPECT_TRUE(Write(request));
    }
    void Answer(int64_t number, const std::string& text) {
      ConnectRequest request;
      request.mutable_host_call_result()->set_number(number);
      request.mutable_host_call_result()->mutable_value()->set_string_value(text);
      EXPECT_TRUE(Write(request));
    }
    ConnectResponse Read() {
      ConnectResponse response;
      EXPECT_TRUE(stream->Read(&response));
      return response;
    }
    grpc::Status Finish() {
      is_finished = true;
      for (ConnectResponse response; stream->Read(&response);) {
      }
      return stream->Finish();
    }
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReaderWriter<ConnectRequest, ConnectResponse>> stream;
    bool is_finished = false;
  };
  std::unique_ptr<Stream> Begin() {
    auto stream = std::make_unique<Stream>();
    stream->stream = server_.messages().Connect(&stream->context);
    return stream;
  }
  ConnectRequest Opening(const std::vector<std::string>& functions = {"f"}) const {
    ConnectRequest request;
    request.mutable_open()->set_interpreter(sandbox_);
    for (const std::string& name : functions) request.mutable_open()->add_host_functions(name);
    return request;
  }
  std::unique_ptr<Stream> Connect() {
    auto stream = Begin();
    EXPECT_TRUE(stream->Write(Opening()));
    EXPECT_TRUE(stream->Read().has_opened());
    return stream;
  }
  grpc::Status ErrorOf(const ConnectRequest& request) {
    auto stream = Begin();
    stream->Write(request);
    return stream->Finish();
  }

  std::string sandbox_;
  TestServer server_;
};

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

// ---- credit -------------------------------------------------------------------------------------

TEST_F(MessageServiceTest, AnswersPassPostsThatWaitForRoom) {
  auto stream = Begin();
  EXPECT_TRUE(stream->Write(Opening()));
  int64_t credit = stream->Read().opened().post_credit_bytes();
  EXPECT_GT(credit, 0);
  WithMailbox([](FakeMailbox& mailbox) { mailbox.room = 0; });
  const int64_t asked = SayCall("f");
  EXPECT_EQ(stream->Read().host_call().number(), 1);
  int sent = 0;
  for (; credit > 0; ++sent) {
    ConnectRequest request;
    request.mutable_post()->set_string_value(std::string(100 << 10, 'x'));
    credit -= static_cast<int64_t>(request.post().ByteSizeLong()) + 128;
    EXPECT_TRUE(stream->Write(request));
  }
  stream->Answer(1, "the answer");
  EXPECT_EQ(ValueOf(AwaitAnswer(asked).value()).string_value(), "the answer");
  EXPECT_THAT(Inbox(), SizeIs(0));
  WithMailbox([](FakeMailbox& mailbox) { mailbox.SayRoom(); });
  ASSERT_TRUE(AwaitInbox(static_cast<size_t>(sent)));
  while (credit <= 0) credit += stream->Read().post_credit().bytes();
}

TEST_F(MessageServiceTest, AClientPastItsCreditIsReadAgainWhenThereIsRoom) {
  auto stream = Connect();
  WithMailbox([](FakeMailbox& mailbox) { mailbox.room = 0; });
  const int64_t asked = SayCall("f");
  EXPECT_TRUE(stream->Read().has_host_call());
  const std::string large(2 << 20, 'x');
  std::thread writer([&] {
    for (int i = 0; i < 3; ++i) stream->Post(large);
    stream->Answer(1, "behind them");
  });
  WithMailbox([](FakeMailbox& mailbox) { mailbox.SayRoom(); });
  EXPECT_EQ(ValueOf(AwaitAnswer(asked).value()).string_value(), "behind them");
  EXPECT_THAT(Inbox(), SizeIs(3));
  writer.join();
}

class SmallMemoryMessageServiceTest : public MessageServiceTest {
 protected:
  SmallMemoryMessageServiceTest() : MessageServiceTest({.message_memory_bytes = 1000}) {}
};

TEST_F(SmallMemoryMessageServiceTest, AStreamWaitsForMemoryWherePostsOfCallsAreRefused) {
  auto stream = Connect();
  stream->Post(std::string(800, 'x'));
  ASSERT_TRUE(AwaitInbox(1));
  EXPECT_EQ(ReasonIn(Post(NewPost(std::string(100, 'x')))), "OVERLOADED");
  stream->Post("waits");
  SayPost("goes on");
  EXPECT_EQ(stream->Read().message().string_value(), "goes on");
  EXPECT_THAT(Inbox(), SizeIs(1));
  WithMailbox([](FakeMailbox& mailbox) { mailbox.held.clear(); });
  ASSERT_TRUE(AwaitInbox(2));
  EXPECT_EQ(Inbox().back(), "waits");
}

TEST_F(SmallMemoryMessageServiceTest, AStreamThatWaitsForMemoryMayGo) {
  auto stream = Connect();
  stream->Post(std::string(800, 'x'));
  ASSERT_TRUE(AwaitInbox(1));
  stream->Post("is dropped");
  stream.reset();
  EXPECT_TRUE(server_.WaitOnLoop([&] { return server_.calls().statuses().size() == 2; }));
  WithMailbox([](FakeMailbox& mailbox) { mailbox.held.clear(); });
  EXPECT_EQ(server_.message_memory().held_bytes(), 0);
  EXPECT_TRUE(Post(NewPost("after")).ok());
  EXPECT_EQ(Inbox().back(), "after");
}

// ---- clients that do nothing --------------------------------------------------------------------

class ImpatientMessageServiceTest : public MessageServiceTest {
 protected:
  ImpatientMessageServiceTest()
      : MessageServiceTest({.opening_patience = absl::Milliseconds(20),
                            .leaving_patience = absl::Milliseconds(20)}) {}
};

TEST_F(ImpatientMessageServiceTest, AStreamThatNeverOpensIsEnded) {
  auto stream = Begin();
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(ReasonIn(status), "FIELD_INVALID");
  EXPECT_THAT(status.error_message(), HasSubstr("open: did not come"));
}

TEST_F(ImpatientMessageServiceTest, AClientThatDoesNotReadIsCutOffAfterTheEnd) {
  auto stream = Connect();
  SayPost(std::string(12 << 20, 'x'));  // more than is on its way for a client that does not read
  SayPost("the last");
  server_.OnLoop([this] { guest()->Lose(v1::Outcome::KIND_SIGNALED); });
  // It ends without anything being read.
  EXPECT_TRUE(server_.WaitOnLoop([&] { return server_.calls().statuses().size() == 2; }));
  EXPECT_EQ(server_.calls().statuses().back(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(stream->Finish().ok());
}

TEST_F(ImpatientMessageServiceTest, AClientThatIsRefusedAndDoesNotReadIsCutOff) {
  auto stream = Connect();
  SayPost(std::string(12 << 20, 'x'));
  EXPECT_TRUE(stream->Write(Opening()));
  EXPECT_TRUE(server_.WaitOnLoop([&] { return server_.calls().statuses().size() == 2; }));
  EXPECT_EQ(server_.calls().statuses().back(), absl::StatusCode::kInvalidArgument);
}

// The loop may vote for a read and then end the call before the second vote is given, so gRPC has to take a
// read that is begun after the end: it ends at once, and so does the call.
TEST(ReadAfterTheEndTest, IsTakenByGrpc) {
  class Late final : public grpc::ServerBidiReactor<ConnectRequest, ConnectResponse> {
   public:
    Late() { StartRead(&request_); }
    void OnReadDone(bool ok) override {
      reads.push_back(ok);
      if (!ok) return;
      Finish(grpc::Status::OK);
      StartRead(&request_);
    }
    void OnDone() override { done.Notify(); }
    absl::Notification done;
    std::vector<bool> reads;

   private:
    ConnectRequest request_;
  } late;
  class Service final : public v1::MessageService::CallbackService {
   public:
    explicit Service(Late* late) : late_(late) {}
    grpc::ServerBidiReactor<ConnectRequest, ConnectResponse>* Connect(
        grpc::CallbackServerContext*) override {
      return late_;
    }

   private:
    Late* const late_;
  } service(&late);
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  grpc::AddInsecureChannelFromFd(server.get(), ends[0]);
  const auto stub = v1::MessageService::NewStub(grpc::CreateInsecureChannelFromFd("test", ends[1]));
  grpc::ClientContext context;
  const auto stream = stub->Connect(&context);
  EXPECT_TRUE(stream->Write(ConnectRequest()));
  EXPECT_TRUE(late.done.WaitForNotificationWithTimeout(absl::Seconds(10)));
  EXPECT_THAT(late.reads, ElementsAre(true, false));
  ConnectResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
  server->Shutdown();
}

TEST_F(MessageServiceTest, EndsThatMeetReadsLeaveNothing) {
  for (int i = 0; i < 200; ++i) {
    auto stream = Connect();
    stream->Post("x");
    stream->Write(Opening());
    EXPECT_EQ(ReasonIn(stream->Finish()), "FIELD_INVALID");
  }
  EXPECT_TRUE(server_.calls().WaitUntilQuiet());
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
