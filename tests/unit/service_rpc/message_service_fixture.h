// MessageService through a real gRPC server; the interpreter's mailbox is the test's.

#ifndef CLOISTER_TESTS_UNIT_SERVICE_RPC_MESSAGE_SERVICE_FIXTURE_H_
#define CLOISTER_TESTS_UNIT_SERVICE_RPC_MESSAGE_SERVICE_FIXTURE_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "sandbox/clone/value.h"
#include "tests/unit/service_rpc/test_server.h"

namespace cloister::testing {

inline std::string CloneOf(const std::string& text) {
  v1::Value value;
  value.set_string_value(text);
  return *sandbox::CloneFromValue(value, sandbox::kResultCloneLimits);
}
inline v1::Value ValueOf(const std::string& clone) {
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
    bool Write(const v1::ConnectRequest& request) { return stream->Write(request); }
    void Post(const std::string& text) {
      v1::ConnectRequest request;
      request.mutable_post()->set_string_value(text);
      EXPECT_TRUE(Write(request));
    }
    void Answer(int64_t number, const std::string& text) {
      v1::ConnectRequest request;
      request.mutable_host_call_result()->set_number(number);
      request.mutable_host_call_result()->mutable_value()->set_string_value(text);
      EXPECT_TRUE(Write(request));
    }
    v1::ConnectResponse Read() {
      v1::ConnectResponse response;
      EXPECT_TRUE(stream->Read(&response));
      return response;
    }
    grpc::Status Finish() {
      is_finished = true;
      for (v1::ConnectResponse response; stream->Read(&response);) {
      }
      return stream->Finish();
    }
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReaderWriter<v1::ConnectRequest, v1::ConnectResponse>> stream;
    bool is_finished = false;
  };
  std::unique_ptr<Stream> Begin() {
    auto stream = std::make_unique<Stream>();
    stream->stream = server_.messages().Connect(&stream->context);
    return stream;
  }
  v1::ConnectRequest Opening(const std::vector<std::string>& functions = {"f"}) const {
    v1::ConnectRequest request;
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
  grpc::Status ErrorOf(const v1::ConnectRequest& request) {
    auto stream = Begin();
    stream->Write(request);
    return stream->Finish();
  }

  std::string sandbox_;
  TestServer server_;
};

}  // namespace cloister::testing

#endif  // CLOISTER_TESTS_UNIT_SERVICE_RPC_MESSAGE_SERVICE_FIXTURE_H_
