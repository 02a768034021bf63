// Calls of clients' functions, and of other interpreters', against the real server.

#include <string>
#include <thread>

#include "absl/synchronization/mutex.h"

#include "tests/integration/message_test.h"

namespace cloister::testing {
namespace {

using ::testing::HasSubstr;
using v1::ConnectRequest;
using v1::ConnectResponse;

using HostCallTest = MessageTest;

// ---- host calls ---------------------------------------------------------------------------------

TEST_F(HostCallTest, CodeCallsTheClientsFunctions) {
  auto stream = Connect(sandbox_, {"add"});
  RunningCell cell(server_->executions(), sandbox_,
                   "import cloister\nprint(cloister.host.add(1, b=2))");
  const v1::HostCall call = stream->Read().host_call();
  EXPECT_EQ(call.function(), "add");
  EXPECT_EQ(call.arguments(0).int_value(), 1);
  EXPECT_EQ(call.keyword_arguments().at("b").int_value(), 2);
  v1::Value sum;
  sum.set_int_value(3);
  stream->Answer(call.number(), sum);
  cell.AwaitOutput("3");
}

TEST_F(HostCallTest, AnExceptionOfTheClientsIsRaised) {
  auto stream = Connect(sandbox_);
  RunningCell cell(server_->executions(), sandbox_, R"(
import cloister
try:
    cloister.host.f()
except cloister.RemoteError as exc:
    print("raised:", exc))");
  ConnectRequest answer;
  answer.mutable_host_call_result()->set_number(stream->Read().host_call().number());
  answer.mutable_host_call_result()->mutable_exception()->set_text("no such thing");
  EXPECT_TRUE(stream->stream->Write(answer));
  cell.AwaitOutput("no such thing");
}

TEST_F(HostCallTest, WhatNobodyOffersIsALookupError) {
  EXPECT_THAT(Try(sandbox_, "import cloister\ncloister.host.f()"), HasSubstr("LookupError"));
  auto stream = Connect(sandbox_, {"other"});
  EXPECT_THAT(Try(sandbox_, "cloister.host.f()"), HasSubstr("offers no function f"));
}

TEST_F(HostCallTest, AFunctionThatNeverAnswersTimesOut) {
  auto stream = Connect(sandbox_, {"f"}, /*timeout_milliseconds=*/300);
  EXPECT_THAT(Try(sandbox_, "import cloister\ncloister.host.f()"),
              HasSubstr("did not answer within"));
  const int64_t number = stream->Read().host_call().number();
  EXPECT_EQ(stream->Read().host_call_cancelled().number(), number);
}

TEST_F(HostCallTest, AClientThatVanishesMidCallClosesIt) {
  auto stream = Connect(sandbox_);
  RunningCell cell(server_->executions(), sandbox_, R"(
import cloister
try:
    cloister.host.f()
except cloister.ChannelClosed:
    print("closed"))");
  EXPECT_TRUE(stream->Read().has_host_call());
  stream.reset();
  cell.AwaitOutput("closed");
}

TEST_F(HostCallTest, AnInterruptedCallIsCancelled) {
  auto stream = Connect(sandbox_);
  RunningCell cell(server_->executions(), sandbox_, "import cloister\ncloister.host.f()");
  const int64_t number = stream->Read().host_call().number();
  (void)Interrupt(sandbox_);
  EXPECT_EQ(stream->Read().host_call_cancelled().number(), number);
  EXPECT_EQ(cell.AwaitEnd().kind(), v1::Outcome::KIND_INTERRUPTED);
  EXPECT_EQ(Value(sandbox_, "1 + 1"), "2");
}

TEST_F(HostCallTest, CallsPastWhatMayBeOpenWaitTheirTurn) {
  auto stream = Connect(sandbox_);
  RunningCell cell(server_->executions(), sandbox_, R"(
import cloister
calls = [cloister.host.f.start(i) for i in range(200)]
assert [call.result() for call in calls] == list(range(200))
print("answered", flush=True))");
  std::thread end([&] {
    cell.AwaitOutput("answered");
    stream->context.TryCancel();
  });
  ConnectResponse response;
  while (stream->stream->Read(&response)) {
    if (!response.has_host_call()) continue;
    stream->Answer(response.host_call().number(), response.host_call().arguments(0));
  }
  end.join();
}

// A client that sends as fast as it may, and code that asks it something for each message.
TEST_F(HostCallTest, AnswersPassWhatWaitsInAFullInbox) {
  constexpr int kJobs = 60;
  const std::string job(512 << 10, 'x');  // 30 MiB, where an inbox has 16
  auto stream = Begin(sandbox_, {"price"}, /*timeout_milliseconds=*/20'000);
  const int64_t credit = stream->Read().opened().post_credit_bytes();
  RunningCell cell(server_->executions(), sandbox_, absl::StrCat(R"(
import cloister, time
time.sleep(0.5)  # the client is far ahead
print("prices:", sum(cloister.host.price(len(cloister.inbox.get(timeout=20))) for _ in range()",
                                                                 kJobs, ")), flush=True)"));
  absl::Mutex mutex;
  int64_t left = credit;
  std::thread jobs([&] {
    for (int i = 0; i < kJobs; ++i) {
      ConnectRequest request;
      request.mutable_post()->set_string_value(job);
      const absl::MutexLock lock(&mutex);
      mutex.Await(absl::Condition(+[](int64_t* bytes) { return *bytes > 0; }, &left));
      left -= static_cast<int64_t>(request.post().ByteSizeLong()) + 128;
      EXPECT_TRUE(stream->stream->Write(request));
    }
  });
  for (int answered = 0; answered < kJobs;) {
    ConnectResponse response;
    ASSERT_TRUE(stream->stream->Read(&response));
    const absl::MutexLock lock(&mutex);
    left += response.post_credit().bytes();
    if (!response.has_host_call()) continue;
    EXPECT_EQ(response.host_call().arguments(0).int_value(), 512 << 10);
    v1::Value price;
    price.set_int_value(2);
    stream->Answer(response.host_call().number(), price);
    ++answered;
  }
  cell.AwaitOutput(absl::StrCat("prices: ", 2 * kJobs));
  jobs.join();
}

// ---- between interpreters -----------------------------------------------------------------------

TEST_F(HostCallTest, InterpretersPostToOneAnother) {
  const std::string other = MakeInterpreter("other", v1::Interpreter::PROFILE_ISOLATED);
  (void)Cell(sandbox_, "import cloister\ncloister.post({'n': 1}, to='other')");
  EXPECT_EQ(Value(other,
                  "import cloister\nm = cloister.inbox.get(timeout=10)\ncloister.post('back', "
                  "to='main')\nm"),
            "{'n': 1}");
  EXPECT_EQ(Value(sandbox_, "cloister.inbox.get(timeout=10)"), "'back'");
  EXPECT_THAT(Try(sandbox_, "cloister.post(1, to='none')"), HasSubstr("LookupError"));
}

TEST_F(HostCallTest, InterpretersCallOneAnother) {
  (void)MakeInterpreter("other", v1::Interpreter::PROFILE_ISOLATED);
  EXPECT_EQ(Value(sandbox_, "import cloister\ncloister.call('other', 'math:hypot', 3, 4)"), "5.0");
  EXPECT_EQ(Value(sandbox_,
                  "def double(x, *, times=2):\n    return x * times\n\ncloister.call('other', "
                  "double, 4, times=3)"),
            "12");
  EXPECT_THAT(Try(sandbox_, "cloister.call('other', 'builtins:int', 'x')"),
              HasSubstr("ValueError"));
  EXPECT_THAT(Try(sandbox_, "cloister.call('main', 'math:hypot', 3, 4)"), HasSubstr("ValueError"));
  EXPECT_THAT(Try(sandbox_, "cloister.call('none', 'math:hypot', 3, 4)"), HasSubstr("LookupError"));
}

TEST_F(HostCallTest, CodeSpawnsInterpretersAndEndsThem) {
  EXPECT_EQ(Value(sandbox_, R"(
import cloister
with cloister.spawn_interpreter("worker") as worker:
    result = (worker.name, worker.call("math:factorial", 5))
result)"),
            "('worker', 120)");
  EXPECT_THAT(Try(sandbox_, "cloister.call('worker', 'math:factorial', 5)"),
              HasSubstr("LookupError"));
  EXPECT_THAT(Try(sandbox_, "cloister.spawn_interpreter('NO')"), HasSubstr("ValueError"));
}

}  // namespace
}  // namespace cloister::testing
