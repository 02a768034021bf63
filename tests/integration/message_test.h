// What tests of messages share: a live sandbox, and clients that are connected to it.

#ifndef CLOISTER_TESTS_INTEGRATION_MESSAGE_TEST_H_
#define CLOISTER_TESTS_INTEGRATION_MESSAGE_TEST_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/integration/live_test.h"

namespace cloister::testing {

class MessageTest : public LiveTest {
 protected:
  void SetUp() override {
    sandbox_ = Create().name();
    ASSERT_FALSE(sandbox_.empty());
  }

  grpc::Status TryPost(const std::string& to, const v1::Value& value) {
    v1::PostMessageRequest request;
    request.set_interpreter(to);
    *request.mutable_value() = value;
    v1::PostMessageResponse response;
    return server_->messages().PostMessage(Context().get(), request, &response);
  }
  grpc::Status TryPost(const std::string& to, const std::string& text) {
    v1::Value value;
    value.set_string_value(text);
    return TryPost(to, value);
  }
  void Post(const std::string& to, const std::string& text) {
    const grpc::Status status = TryPost(to, text);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  std::string MakeInterpreter(const std::string& id, v1::Interpreter::Profile profile) {
    v1::CreateInterpreterRequest request;
    request.set_sandbox(sandbox_);
    request.set_interpreter_id(id);
    request.set_profile(profile);
    v1::CreateInterpreterResponse response;
    const grpc::Status status =
        server_->interpreters().CreateInterpreter(Context().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.interpreter().name();
  }
  // Its outcome's kind and, where it raised, what.
  std::string Try(const std::string& interpreter, const std::string& code) {
    const v1::Outcome outcome = Cell(interpreter, code).outcome();
    return absl::StrCat(v1::Outcome::Kind_Name(outcome.kind()), " ", outcome.exception().type(),
                        " ", outcome.exception().message());
  }

  struct Stream {
    Stream(v1::MessageService::Stub& stub, const std::string& interpreter,
           const std::vector<std::string>& functions, int64_t timeout_milliseconds) {
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
      stream = stub.Connect(&context);
      v1::ConnectRequest request;
      request.mutable_open()->set_interpreter(interpreter);
      for (const std::string& name : functions) request.mutable_open()->add_host_functions(name);
      if (timeout_milliseconds > 0) {
        *request.mutable_open()->mutable_host_call_timeout() = Milliseconds(timeout_milliseconds);
      }
      stream->Write(request);
    }
    ~Stream() {
      context.TryCancel();
      if (!is_finished) (void)Finish();
    }
    v1::ConnectResponse Read() {
      v1::ConnectResponse response;
      do {
        if (!stream->Read(&response)) {
          ADD_FAILURE() << "the stream has ended: " << Finish().error_message();
          return {};
        }
      } while (response.has_keep_alive() || response.has_post_credit());
      return response;
    }
    std::string ReadText() { return Read().message().string_value(); }
    void Post(const std::string& text) {
      v1::ConnectRequest request;
      request.mutable_post()->set_string_value(text);
      EXPECT_TRUE(stream->Write(request));
    }
    void Answer(int64_t number, const v1::Value& value) {
      v1::ConnectRequest request;
      request.mutable_host_call_result()->set_number(number);
      *request.mutable_host_call_result()->mutable_value() = value;
      EXPECT_TRUE(stream->Write(request));
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
  std::unique_ptr<Stream> Begin(const std::string& interpreter,
                                const std::vector<std::string>& functions = {"f"},
                                int64_t timeout_milliseconds = 0) {
    return std::make_unique<Stream>(server_->messages(), interpreter, functions,
                                    timeout_milliseconds);
  }
  std::unique_ptr<Stream> Connect(const std::string& interpreter,
                                  const std::vector<std::string>& functions = {"f"},
                                  int64_t timeout_milliseconds = 0) {
    auto stream = Begin(interpreter, functions, timeout_milliseconds);
    EXPECT_TRUE(stream->Read().has_opened());
    return stream;
  }

  std::string sandbox_;
};

}  // namespace cloister::testing

#endif  // CLOISTER_TESTS_INTEGRATION_MESSAGE_TEST_H_
