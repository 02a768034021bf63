// Streams of clients that are far ahead, that wait for memory, and that do nothing.

#include <sys/socket.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/create_channel_posix.h"
#include "grpcpp/server_posix.h"
#include "tests/unit/service_rpc/message_service_fixture.h"

namespace cloister::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using v1::ConnectRequest;
using v1::ConnectResponse;

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

}  // namespace
}  // namespace cloister::testing
