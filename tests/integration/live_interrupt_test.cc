// Interrupts of live interpreters: what each kind of code makes of KeyboardInterrupt, and whether
// its variables are there afterwards.

#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/integration/live_test.h"

namespace cloister::testing {
namespace {

using v1::Outcome;

struct InterruptCase {
  const char* name;
  const char* code;
  // Whether KeyboardInterrupt ends it; otherwise it is killed when the grace is over.
  bool is_answered = true;
  // What has to be done before the interrupt can come.
  const char* preparation = "";
  // The code says itself that it is on: where nothing of Python may come between that and the loop.
  bool says_on = false;
};
class InterruptTest : public LiveTest, public ::testing::WithParamInterface<InterruptCase> {};

TEST_P(InterruptTest, EndsItAndSaysWhetherStateSurvived) {
  constexpr int64_t kGrace = 1'000;
  const std::string name = Create().name();
  (void)Cell(name, "kept = 'kept'");
  RunningCell cell(server_->executions(), name,
                   GetParam().says_on ? GetParam().code
                                      : absl::StrCat(GetParam().preparation,
                                                     "print('on', flush=True)\n", GetParam().code));
  cell.AwaitOutput("on");
  const auto begin = std::chrono::steady_clock::now();
  const Outcome outcome = Interrupt(name, kGrace).outcome();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begin);
  RecordProperty("milliseconds", static_cast<int>(took.count()));
  EXPECT_EQ(outcome.kind(), Outcome::KIND_INTERRUPTED) << outcome.DebugString();
  EXPECT_EQ(outcome.state_preserved(), GetParam().is_answered) << outcome.DebugString();
  EXPECT_EQ(cell.AwaitEnd().kind(), Outcome::KIND_INTERRUPTED);
  if (GetParam().is_answered) {
    EXPECT_LT(took.count(), kGrace);
    EXPECT_EQ(outcome.exception().type(), "KeyboardInterrupt");
    EXPECT_EQ(Value(name, "kept"), "'kept'");
  } else {
    v1::Sandbox sandbox;
    ASSERT_TRUE(Get(name, &sandbox).ok());
    EXPECT_EQ(sandbox.state(), v1::Sandbox::STATE_LOST);
    EXPECT_EQ(sandbox.loss().cause(), Outcome::KIND_INTERRUPTED);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Main, InterruptTest,
    ::testing::Values(
        InterruptCase{"Loop", "while True: pass"},
        InterruptCase{"Sleep", "import time; time.sleep(100)"},
        InterruptCase{"Select", "import os, select\nr, w = os.pipe()\nselect.select([r], [], [])"},
        InterruptCase{"Pipe", "import os\nr, w = os.pipe()\nos.read(r, 1)"},
        InterruptCase{"SocketPair", "import socket\na, b = socket.socketpair()\na.recv(1)"},
        InterruptCase{"Asyncio", "import asyncio; asyncio.run(asyncio.sleep(100))"},
        InterruptCase{"Regex", "import re; re.match(r'(a+)+$', 'a' * 40 + 'b')"},
        InterruptCase{"BigPower", "x = 7 ** (10 ** 8)"},
        InterruptCase{"Lock", "import threading\nl = threading.Lock(); l.acquire(); l.acquire()"},
        InterruptCase{"Event", "import threading; threading.Event().wait()"},
        InterruptCase{"Queue", "import queue; queue.Queue().get()"},
        InterruptCase{
            "Join",
            "import threading, time\nt = threading.Thread(target=time.sleep, args=(100,), "
            "daemon=True)\nt.start(); t.join()"},
        InterruptCase{"CatchesOnce",
                      "try:\n  while True: pass\nexcept BaseException: pass\nwhile True: pass"},
        InterruptCase{"LoopInC",
                      "import itertools, os\n"
                      "sum(itertools.chain(map(os.write, [1], [b'on']), range(10 ** 12)))",
                      false, "", true},
        InterruptCase{"CatchesAlways",
                      "said = False\nwhile True:\n  try:\n    if not said:\n      said = True\n"
                      "      print('on', flush=True)\n    while True: pass\n"
                      "  except BaseException: pass",
                      false, "", true},
        InterruptCase{"Ignores", "while True: pass", false,
                      "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"}),
    [](const auto& info) { return info.param.name; });

class InterruptStormTest : public LiveTest {};

TEST_F(InterruptStormTest, WhatHandlesItEndsAsItLikes) {
  const std::string name = Create().name();
  RunningCell cell(server_->executions(), name,
                   "print('on', flush=True)\ntry:\n  while True: pass\n"
                   "except KeyboardInterrupt: result = 'handled'");
  cell.AwaitOutput("on");
  EXPECT_EQ(Interrupt(name).outcome().kind(), Outcome::KIND_SUCCEEDED);
  EXPECT_EQ(Value(name, "result"), "'handled'");
}

TEST_F(InterruptStormTest, NothingToInterruptIsNoError) {
  const std::string name = Create().name();
  EXPECT_FALSE(Interrupt(name).has_outcome());
  EXPECT_EQ(Value(name, "1"), "1");
}

// A late signal must not hit the next cell.
TEST_F(InterruptStormTest, InterruptsNeverHitTheNextCell) {
  const std::string name = Create().name();
  for (int round = 0; round < 30; ++round) {
    RunningCell cell(server_->executions(), name, "print('on', flush=True)\nwhile True: pass");
    cell.AwaitOutput("on");
    for (int i = 0; i < 20; ++i) {
      v1::InterruptExecutionRequest request;
      request.set_interpreter(name);
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now());  // asked, not waited for
      v1::InterruptExecutionResponse response;
      (void)server_->executions().InterruptExecution(&context, request, &response);
    }
    (void)Interrupt(name);
    EXPECT_EQ(cell.AwaitEnd().kind(), Outcome::KIND_INTERRUPTED);
    const v1::RunCodeResponse next = Cell(name, "sum(i for i in range(20000))");
    ASSERT_EQ(next.outcome().kind(), Outcome::KIND_SUCCEEDED) << next.outcome().DebugString();
  }
}

TEST_F(InterruptStormTest, OneThatWaitsForItsTurnEndsAtOnce) {
  const std::string name = Create().name();
  RunningCell first(server_->executions(), name, "print('on', flush=True)\nwhile True: pass");
  first.AwaitOutput("on");
  v1::RunCodeRequest request = CellRequest(name, "ran = True");
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
  v1::RunCodeResponse response;
  const grpc::Status late = server_->executions().RunCode(&context, request, &response);
  EXPECT_EQ(late.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  (void)Interrupt(name);
  EXPECT_EQ(Value(name, "'ran' in globals()"), "False");
}

TEST_F(InterruptStormTest, InputIsAnsweredOnceAndOnlyWhenAskedFor) {
  const std::string name = Create().name();
  v1::ExecuteRequest request = RunningCell::RequestFor(name, "name = input('who? ')");
  request.set_allow_input(true);
  RunningCell cell(server_->executions(), request);
  v1::ExecutionEvent event = cell.Next();
  ASSERT_TRUE(event.has_started());
  v1::SendInputRequest answer;
  answer.set_execution(event.started().execution());
  answer.set_text("me");
  while (!event.has_input_request()) {
    event = cell.Next();
    ASSERT_NE(event.event_case(), v1::ExecutionEvent::EVENT_NOT_SET)
        << cell.status().error_message();
  }
  EXPECT_EQ(event.input_request().prompt(), "who? ");
  v1::SendInputResponse response;
  ASSERT_TRUE(server_->executions().SendInput(Context().get(), answer, &response).ok());
  EXPECT_EQ(cell.AwaitEnd().kind(), Outcome::KIND_SUCCEEDED);
  EXPECT_EQ(Reason(server_->executions().SendInput(Context().get(), answer, &response)),
            "INPUT_NOT_EXPECTED");
  EXPECT_EQ(Value(name, "name"), "'me'");
}

}  // namespace
}  // namespace cloister::testing
