// Messages against the real server: clients and code that behave, that flood, and that vanish.

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/integration/message_test.h"

namespace cloister::testing {
namespace {

using ::testing::HasSubstr;
using v1::ConnectResponse;

using MessageServiceTest = MessageTest;

// ---- messages -----------------------------------------------------------------------------------

TEST_F(MessageServiceTest, APostWaitsForCodeThatReadsIt) {
  Post(sandbox_, "before any code");
  EXPECT_EQ(Value(sandbox_, "import cloister\ncloister.inbox.get()"), "'before any code'");
}

TEST_F(MessageServiceTest, APostReachesCodeThatWaits) {
  RunningCell cell(
      server_->executions(), sandbox_,
      "import cloister\nprint('waiting', flush=True)\nprint('got', cloister.inbox.get())");
  cell.AwaitOutput("waiting");
  Post(sandbox_, "now");
  cell.AwaitOutput("got now");
  EXPECT_EQ(cell.AwaitEnd().kind(), v1::Outcome::KIND_SUCCEEDED);
}

TEST_F(MessageServiceTest, EachClientsMessagesComeInItsOrder) {
  constexpr int kClients = 4;
  constexpr int kMessages = 50;
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([this, client] {
      for (int i = 0; i < kMessages; ++i) Post(sandbox_, absl::StrCat(client, ":", i));
    });
  }
  EXPECT_EQ(Value(sandbox_, R"(
import cloister
seen = {}
for _ in range(200):
    client, number = map(int, cloister.inbox.get(timeout=20).split(":"))
    assert seen.get(client, -1) + 1 == number, (client, number, seen)
    seen[client] = number
sorted(seen.items()))"),
            "[(0, 49), (1, 49), (2, 49), (3, 49)]");
  for (std::thread& client : clients) client.join();
}

TEST_F(MessageServiceTest, MessagesGoBothWaysWhileCodeRuns) {
  auto stream = Connect(sandbox_);
  RunningCell cell(server_->executions(), sandbox_, R"(
import cloister
for message in cloister.inbox:
    if message == "stop":
        break
    cloister.post("echo " + message))");
  for (int i = 0; i < 20; ++i) {
    stream->Post(absl::StrCat(i));
    EXPECT_EQ(stream->ReadText(), absl::StrCat("echo ", i));
  }
  stream->Post("stop");
  EXPECT_EQ(cell.AwaitEnd().kind(), v1::Outcome::KIND_SUCCEEDED);
}

TEST_F(MessageServiceTest, WhatWasPostedWaitsForTheNextClient) {
  (void)Cell(sandbox_, "import cloister\nfor i in range(3): cloister.post(str(i))");
  auto stream = Connect(sandbox_);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(stream->ReadText(), absl::StrCat(i));
}

TEST_F(MessageServiceTest, ValuesKeepTheirTypesAndIdentity) {
  auto stream = Connect(sandbox_);
  (void)Cell(
      sandbox_,
      "import cloister, decimal\nx = [1]\ncloister.post((x, x, decimal.Decimal('1.10'), 2**80))");
  const v1::Value value = stream->Read().message();
  ASSERT_EQ(value.tuple_value().items_size(), 4) << value.DebugString();
  EXPECT_EQ(value.tuple_value().items(0).kind_case(), v1::Value::kReference);
  ASSERT_TRUE(TryPost(sandbox_, value).ok());
  EXPECT_EQ(
      Value(
          sandbox_,
          "y = cloister.inbox.get()\n(y == (x, x, decimal.Decimal('1.10'), 2**80), y[0] is y[1])"),
      "(True, True)");
}

TEST_F(MessageServiceTest, ALongMessageComesWholeBothWays) {
  auto stream = Connect(sandbox_);
  const std::string text(8 << 20, 'x');
  stream->Post(text);
  EXPECT_EQ(Value(sandbox_, "import cloister\nlong = cloister.inbox.get()\nlen(long)"),
            absl::StrCat(8 << 20));
  RunningCell cell(server_->executions(), sandbox_, "cloister.post(long)");
  EXPECT_TRUE(stream->ReadText() == text);
  EXPECT_EQ(cell.AwaitEnd().kind(), v1::Outcome::KIND_SUCCEEDED);
}

TEST_F(MessageServiceTest, ASecondClientIsRefused) {
  auto stream = Connect(sandbox_);
  EXPECT_EQ(Reason(Begin(sandbox_)->Finish()), "ALREADY_CONNECTED");
  (void)Cell(sandbox_, "import cloister\ncloister.post('for the first')");
  EXPECT_EQ(stream->ReadText(), "for the first");
  stream.reset();
  // The server learns of the end soon.
  for (;;) {
    auto next = Begin(sandbox_);
    ConnectResponse response;
    if (next->stream->Read(&response)) break;
    ASSERT_EQ(Reason(next->Finish()), "ALREADY_CONNECTED");
  }
}

TEST_F(MessageServiceTest, EveryProfileHasAMailbox) {
  for (const auto profile : {v1::Interpreter::PROFILE_ISOLATED, v1::Interpreter::PROFILE_SHARED_GIL,
                             v1::Interpreter::PROFILE_PROCESS}) {
    const std::string name = MakeInterpreter(absl::StrCat("p", static_cast<int>(profile)), profile);
    auto stream = Connect(name);
    stream->Post("hello");
    EXPECT_EQ(
        Value(name,
              "import cloister\nm = cloister.inbox.get(timeout=10)\ncloister.post('and back')\nm"),
        "'hello'");
    EXPECT_EQ(stream->ReadText(), "and back");
  }
}

TEST_F(MessageServiceTest, FreshSandboxesHaveNone) {
  const v1::RunCodeResponse response = RunText("import cloister\ncloister.post(1)");
  EXPECT_EQ(response.outcome().exception().type(), "RuntimeError")
      << response.outcome().DebugString();
}

// ---- floods -------------------------------------------------------------------------------------

TEST_F(MessageServiceTest, AnInboxThatNobodyReadsFillsUpAndEmptiesAgain) {
  const std::string mebibyte(1 << 20, 'x');
  int posted = 0;
  grpc::Status status;
  while ((status = TryPost(sandbox_, mebibyte)).ok()) ASSERT_LT(++posted, 40);
  EXPECT_EQ(Reason(status), "INBOX_FULL");
  EXPECT_GE(posted, 15);
  EXPECT_EQ(
      Value(sandbox_, absl::StrCat("import cloister\nsum(len(cloister.inbox.get()) for _ in range(",
                                   posted, "))")),
      absl::StrCat(posted * (1 << 20)));
  EXPECT_TRUE(TryPost(sandbox_, mebibyte).ok());
}

TEST_F(MessageServiceTest, AFullInboxStopsAStreamAndNothingIsLost) {
  auto stream = Connect(sandbox_);
  std::thread writer([&] {
    for (int i = 0; i < 40; ++i)
      stream->Post(std::string(1 << 20, static_cast<char>('a' + i % 26)));
  });
  EXPECT_EQ(Value(sandbox_, R"(
import cloister, time
time.sleep(0.5)
all(cloister.inbox.get(timeout=20)[0] == chr(97 + i % 26) for i in range(40)))"),
            "True");
  writer.join();
}

TEST_F(MessageServiceTest, PostsThatNobodyReadsMakeTheCodeWait) {
  // More than the server and the sockets between hold.
  EXPECT_THAT(
      Try(sandbox_, "import cloister\nfor i in range(64): cloister.post('x' * 2**19, timeout=2)"),
      HasSubstr("TimeoutError"));
  auto stream = Connect(sandbox_);
  RunningCell cell(server_->executions(), sandbox_, "cloister.post('the last', timeout=20)");
  int before = 0;
  while (stream->ReadText() != "the last") ASSERT_LT(++before, 64);
  EXPECT_GT(before, 1);
  EXPECT_EQ(cell.AwaitEnd().kind(), v1::Outcome::KIND_SUCCEEDED);
}

TEST_F(MessageServiceTest, AClientThatNeverReadsHoldsUpItsInterpreterOnly) {
  auto stream = Begin(sandbox_);
  EXPECT_THAT(
      Try(sandbox_, "import cloister\nfor i in range(400): cloister.post('x' * 2**19, timeout=2)"),
      HasSubstr("TimeoutError"));
  const std::string other = Create().name();
  auto quick = Connect(other);
  (void)Cell(other, "import cloister\ncloister.post('quick')");
  EXPECT_EQ(quick->ReadText(), "quick");
}

// ---- the end ------------------------------------------------------------------------------------

TEST_F(MessageServiceTest, ADeletedSandboxEndsTheStream) {
  auto stream = Connect(sandbox_);
  ASSERT_TRUE(Delete(sandbox_).ok());
  EXPECT_EQ(Reason(stream->Finish()), "SANDBOX_NOT_FOUND");
  EXPECT_EQ(Reason(TryPost(sandbox_, "x")), "SANDBOX_NOT_FOUND");
}

TEST_F(MessageServiceTest, AKilledSandboxEndsTheStreamBehindItsLastWords) {
  auto stream = Connect(sandbox_);
  (void)Cell(sandbox_, "import cloister, os\ncloister.post('last words')\nos._exit(3)");
  EXPECT_EQ(stream->ReadText(), "last words");
  EXPECT_EQ(Reason(stream->Finish()), "SANDBOX_LOST");
  EXPECT_EQ(Reason(TryPost(sandbox_, "x")), "SANDBOX_LOST");
}

TEST_F(MessageServiceTest, ARestartedSandboxBeginsWithAnEmptyMailbox) {
  (void)Cell(sandbox_, "import cloister\ncloister.post('old')");
  Post(sandbox_, "old too");
  auto stream = Connect(sandbox_);
  EXPECT_EQ(stream->ReadText(), "old");
  (void)Restart(sandbox_);
  EXPECT_EQ(Reason(stream->Finish()), "SANDBOX_LOST");
  Post(sandbox_, "new");
  EXPECT_EQ(Value(sandbox_, "import cloister\ncloister.inbox.get()"), "'new'");
}

TEST_F(MessageServiceTest, ACopyHasAMailboxOfItsOwn) {
  (void)Cell(sandbox_, "import cloister\ncloister.post('of the parent')");
  Post(sandbox_, "for the parent");
  v1::ForkSandboxRequest request;
  request.set_name(sandbox_);
  v1::ForkSandboxResponse response;
  const grpc::Status status = server_->sandboxes().ForkSandbox(Context().get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  const std::string copy = response.sandboxes(0).name();
  made_.push_back(copy);
  Post(copy, "for the copy");
  EXPECT_EQ(Value(copy, "cloister.inbox.get(timeout=10)"), "'for the copy'");
  EXPECT_EQ(Value(sandbox_, "cloister.inbox.get(timeout=10)"), "'for the parent'");
  (void)Cell(copy, "cloister.post('of the copy')");
  EXPECT_EQ(Connect(copy)->ReadText(), "of the copy");
  EXPECT_EQ(Connect(sandbox_)->ReadText(), "of the parent");
}

}  // namespace
}  // namespace cloister::testing
