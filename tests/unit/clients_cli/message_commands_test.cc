// `cloister post` and `cloister connect`, against a service that says what the test says; standard
// input is the test's.

#include "clients/cli/commands/message_commands.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/json_value.h"
#include "clients/cli/commands/local_command.h"
#include "clients/cli/commands/value_json.h"
#include "cloister/client/channel.h"
#include "gmock/gmock.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"

namespace cloister::cli {
namespace {

using testing::HasSubstr;
using v1::ConnectRequest;
using v1::ConnectResponse;
using ServerStream = grpc::ServerReaderWriter<ConnectResponse, ConnectRequest>;

class FakeMessageService final : public v1::MessageService::Service {
 public:
  grpc::Status answer;
  v1::PostMessageRequest posted;
  v1::OpenConnection opened;
  int64_t credit = 1 << 20;
  // What the server does once a client is connected.
  std::function<void(ServerStream&)> talk = [](ServerStream&) {};

 private:
  grpc::Status PostMessage(grpc::ServerContext*, const v1::PostMessageRequest* request,
                           v1::PostMessageResponse*) override {
    posted = *request;
    return answer;
  }
  grpc::Status Connect(grpc::ServerContext*, ServerStream* stream) override {
    ConnectRequest request;
    stream->Read(&request);
    opened = request.open();
    if (!answer.ok()) return answer;
    ConnectResponse response;
    response.mutable_opened()->set_post_credit_bytes(credit);
    stream->Write(response);
    talk(*stream);
    return answer;
  }
};

class MessageCommandsTest : public testing::Test {
 protected:
  MessageCommandsTest() {
    directory_ = std::filesystem::temp_directory_path() / "cloister-test-XXXXXX";
    if (::mkdtemp(directory_.data()) == nullptr) ::abort();
    const std::string address = "unix:" + directory_ + "/sock";
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    builder.RegisterService(&service_);
    grpc_server_ = builder.BuildAndStart();
    stub_ = v1::MessageService::NewStub(client::CreateChannel(address));
    server_.address = address;
    server_.messages = stub_.get();
    TakeInput("");
  }
  ~MessageCommandsTest() override {
    ::dup2(stdin_, STDIN_FILENO);
    ::close(stdin_);
    grpc_server_->Shutdown();
    std::filesystem::remove_all(directory_);
  }

  // Becomes standard input.
  static void TakeInput(const std::string& text) {
    const int file = ::memfd_create("input", MFD_CLOEXEC);
    ASSERT_EQ(::write(file, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    ::lseek(file, 0, SEEK_SET);
    ::dup2(file, STDIN_FILENO);
    ::close(file);
  }
  static std::string Content(int file) {
    std::string text(static_cast<size_t>(::lseek(file, 0, SEEK_END)), '\0');
    EXPECT_EQ(::pread(file, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    return text;
  }
  // The exit code; what was written is in out_ and err_.
  int Run(const std::function<int(OutputFds)>& command) {
    const OutputFds fds = {::memfd_create("out", MFD_CLOEXEC), ::memfd_create("err", MFD_CLOEXEC)};
    const int code = command(fds);
    out_ = Content(fds.out);
    err_ = Content(fds.err);
    ::close(fds.out);
    ::close(fds.err);
    return code;
  }
  int Post(const std::string& value) {
    return Run([&](OutputFds fds) { return PostMessage(server_, "sandboxes/s", value, fds); });
  }
  int Connect(ConnectOptions options) {
    options.sandbox = "sandboxes/s";
    return Run([&](OutputFds fds) { return ConnectMessages(server_, options, fds); });
  }
  static void Say(ServerStream& stream, const std::string& json) {
    ConnectResponse response;
    *response.mutable_message() = *ValueFromJson(json);
    stream.Write(response);
  }
  v1::HostCallResult Call(ServerStream& stream, const std::string& function) {
    ConnectResponse response;
    response.mutable_host_call()->set_number(++last_call_);
    response.mutable_host_call()->set_function(function);
    response.mutable_host_call()->add_arguments()->set_int_value(20);
    response.mutable_host_call()->add_arguments()->set_int_value(22);
    stream.Write(response);
    ConnectRequest request;
    EXPECT_TRUE(stream.Read(&request));
    return request.host_call_result();
  }

  std::string directory_;
  const int stdin_ = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
  FakeMessageService service_;
  std::unique_ptr<grpc::Server> grpc_server_;
  std::unique_ptr<v1::MessageService::Stub> stub_;
  Server server_;
  std::string out_, err_;
  int64_t last_call_ = 0;
};

TEST_F(MessageCommandsTest, PostSendsJson) {
  EXPECT_EQ(Post(R"({"job": 1})"), kExitOk);
  EXPECT_EQ(service_.posted.interpreter(), "sandboxes/s");
  EXPECT_EQ(service_.posted.value().dict_value().values(0).int_value(), 1);
  TakeInput("[1, 2]\n");
  EXPECT_EQ(Post("-"), kExitOk);
  EXPECT_EQ(service_.posted.value().list_value().items_size(), 2);
}

TEST_F(MessageCommandsTest, PostTellsWhatIsWrong) {
  EXPECT_EQ(Post("no json"), kExitUsage);
  EXPECT_THAT(err_, HasSubstr("text needs quotes"));
  service_.answer = grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "the inbox is full");
  EXPECT_NE(Post("1"), kExitOk);
  EXPECT_THAT(err_, HasSubstr("the inbox is full"));
}

TEST_F(MessageCommandsTest, MessagesArePrintedAndLinesAreSent) {
  TakeInput("\"hello\"\n\nno json\n{\"a\": 1}");
  std::vector<v1::Value> got;
  service_.talk = [&](ServerStream& stream) {
    ConnectRequest request;
    while (got.size() < 2 && stream.Read(&request)) got.push_back(request.post());
    Say(stream, R"({"text": "ä", "list": [1, 2.5, null]})");
    Say(stream, "7");
    stream.Read(&request);  // until it goes
  };
  EXPECT_EQ(Connect({.count = 2}), kExitOk);
  EXPECT_EQ(out_, "{\"text\":\"ä\",\"list\":[1,2.5,null]}\n7\n");
  EXPECT_THAT(err_, HasSubstr("connected to sandboxes/s"));
  EXPECT_THAT(err_, HasSubstr("line 3 was not sent"));
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].string_value(), "hello");
  EXPECT_TRUE(got[1].has_dict_value());
}

TEST_F(MessageCommandsTest, LinesWaitForCreditAndAnswersDoNot) {
  TakeInput("\"first\"\n\"second\"\n\"third\"\n");
  service_.credit = 150;  // of which each takes 128 and a little
  std::vector<std::string> got;
  service_.talk = [&](ServerStream& stream) {
    const auto read = [&] {
      ConnectRequest request;
      EXPECT_TRUE(stream.Read(&request));
      got.push_back(request.has_post() ? request.post().string_value() : "answer");
    };
    read();
    read();
    ConnectResponse response;
    response.mutable_host_call()->set_number(1);
    response.mutable_host_call()->set_function("f");
    stream.Write(response);
    read();
    response.mutable_post_credit()->set_bytes(200);
    stream.Write(response);
    read();
    Say(stream, "0");
    ConnectRequest request;
    stream.Read(&request);  // until it goes
  };
  EXPECT_EQ(Connect({.offers = {"f=true"}, .count = 1}), kExitOk);
  EXPECT_THAT(got, testing::ElementsAre("first", "second", "answer", "third"));
}

TEST_F(MessageCommandsTest, LinesThatWaitForCreditEndWithTheStream) {
  TakeInput("1\n2\n");
  service_.credit = 1;
  service_.talk = [&](ServerStream& stream) {
    ConnectRequest request;
    EXPECT_TRUE(stream.Read(&request));
    Say(stream, "0");
    EXPECT_FALSE(stream.Read(&request));
  };
  EXPECT_EQ(Connect({.count = 1}), kExitOk);
}

TEST_F(MessageCommandsTest, CallsRunCommands) {
  std::vector<v1::HostCallResult> results;
  service_.talk = [&](ServerStream& stream) {
    for (const char* name : {"echo", "nothing", "fails", "garbage"})
      results.push_back(Call(stream, name));
    Say(stream, "0");
    ConnectRequest request;
    stream.Read(&request);
  };
  EXPECT_EQ(Connect({.offers = {"echo=cat", "nothing=true", "fails=echo too bad >&2; exit 3",
                                "garbage=echo x"},
                     .timeout = "5s",
                     .concurrency = 3,
                     .count = 1,
                     .quiet = true}),
            kExitOk);
  EXPECT_EQ(service_.opened.host_functions_size(), 4);
  EXPECT_EQ(service_.opened.maximum_host_calls(), 3);
  EXPECT_EQ(service_.opened.host_call_timeout().seconds(), 5);
  ASSERT_EQ(results.size(), 4u);
  EXPECT_EQ(JsonFromValue(results[0].value()).dump(),
            R"({"arguments":[20,22],"keyword_arguments":{}})");
  EXPECT_EQ(results[1].value().singleton(), v1::SINGLETON_NONE);
  EXPECT_EQ(results[2].exception().text(), "too bad");
  EXPECT_THAT(results[3].exception().text(), HasSubstr("not usable JSON"));
  EXPECT_EQ(err_, "");
}

TEST_F(MessageCommandsTest, ACancelledCallIsKilled) {
  v1::HostCallResult result;
  service_.talk = [&](ServerStream& stream) {
    ConnectResponse response;
    response.mutable_host_call()->set_number(1);
    response.mutable_host_call()->set_function("forever");
    stream.Write(response);
    response.mutable_host_call_cancelled()->set_number(1);
    stream.Write(response);
    ConnectRequest request;
    stream.Read(&request);
    result = request.host_call_result();
    Say(stream, "0");
    stream.Read(&request);
  };
  EXPECT_EQ(Connect({.offers = {"forever=sleep 1000"}, .count = 1, .quiet = true}), kExitOk);
  EXPECT_EQ(result.number(), 1);
  EXPECT_TRUE(result.has_exception());
}

TEST_F(MessageCommandsTest, TheEndOfTheStreamIsTold) {
  service_.talk = [&](ServerStream& stream) {
    Say(stream, "1");
    service_.answer = grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "the sandbox was lost");
  };
  EXPECT_EQ(Connect({.quiet = true}), kExitUsage);
  EXPECT_EQ(out_, "1\n");
  EXPECT_THAT(err_, HasSubstr("the sandbox was lost"));
}

TEST_F(MessageCommandsTest, BadOptionsAreRefused) {
  EXPECT_EQ(Connect({.offers = {"nothing"}}), kExitUsage);
  EXPECT_THAT(err_, HasSubstr("NAME=COMMAND"));
  EXPECT_EQ(Connect({.offers = {"f=a", "f=b"}}), kExitUsage);
  EXPECT_THAT(err_, HasSubstr("twice"));
  EXPECT_EQ(Connect({.timeout = "soon"}), kExitUsage);
}

TEST(JsonValueTest, WhatJsonHasNotIsPythons) {
  v1::Value value;
  value.set_bytes_value("a");
  EXPECT_EQ(JsonFromValue(value).dump(), R"({"python":"b'a'"})");
  value.mutable_tuple_value()->add_items()->set_bool_value(true);
  EXPECT_EQ(JsonFromValue(value).dump(), "[true]");
  value.mutable_dict_value()->add_keys()->set_int_value(1);
  value.mutable_dict_value()->add_values()->set_int_value(2);
  EXPECT_EQ(JsonFromValue(value).dump(), R"({"python":"{1: 2}"})");
  value.Clear();
  value.set_reference(0);
  value.add_shared()->mutable_list_value()->add_items()->set_reference(0);
  EXPECT_THAT(JsonFromValue(value).dump(), HasSubstr("python"));
}

TEST(JsonValueTest, WhatSaysMuchMoreThanItHasIsCut) {
  // Lists of one list, of which each level is a thousand times the one below.
  v1::Value value;
  value.set_reference(0);
  for (uint32_t level = 0; level < 4; ++level) {
    v1::Value& list = *value.add_shared();
    for (int i = 0; i < 1000; ++i) list.mutable_list_value()->add_items()->set_reference(level + 1);
  }
  value.add_shared()->set_bytes_value("x");
  const std::string values = JsonFromValue(value).dump();
  EXPECT_LT(values.size(), size_t{64} << 20);
  EXPECT_THAT(values.substr(values.size() - 100), HasSubstr(R"({"python":"…"})"));
  // A long text that is meant a thousand times.
  value.mutable_shared(3)->mutable_list_value()->mutable_items(0)->set_reference(4);
  value.mutable_shared(4)->set_string_value(std::string(1 << 20, 'x'));
  EXPECT_LT(JsonFromValue(value).dump().size(), size_t{80} << 20);
}

TEST(LocalCommandTest, ItIsGivenInputAndItsOutputComesBack) {
  LocalCommand command;
  const auto ran = command.Run("cat; echo oops >&2; exit 5", std::string(1 << 20, 'x'));
  ASSERT_TRUE(ran.ok()) << ran.status();
  EXPECT_EQ(ran->out.size(), size_t{1} << 20);
  EXPECT_EQ(ran->err, "oops\n");
  EXPECT_EQ(ran->exit_code, 5);
}

TEST(LocalCommandTest, TooMuchOutputEndsIt) {
  LocalCommand command;
  EXPECT_TRUE(absl::IsResourceExhausted(command.Run("yes", "").status()));
}

}  // namespace
}  // namespace cloister::cli
