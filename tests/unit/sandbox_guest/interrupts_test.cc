// What ends the code of an isolated interpreter when it is interrupted, by kind of code. The same
// table for main is in tests/integration/live_interrupt_test.cc.

#include <gmock/gmock.h>

#include <chrono>
#include <string>

#include "tests/unit/sandbox_guest/interpreters_test.h"

namespace cloister::sandbox {
namespace {

enum class Ends {
  kYes,
  kFrom315,  // CPython 3.14 does not look for interrupts there, and the host kills
  kNo,
};

struct InterruptCase {
  const char* name;
  const char* code;
  Ends ends = Ends::kYes;
};

class IsolatedInterruptTest : public FurtherInterpreterTest,
                              public testing::WithParamInterface<InterruptCase> {
 protected:
  static bool IsExpectedToEnd(Ends ends) {
    const std::string& version = harness_->start().ready().python_version();
    return ends == Ends::kYes || (ends == Ends::kFrom315 && !version.starts_with("3.14."));
  }
};

TEST_P(IsolatedInterruptTest, RaisesKeyboardInterruptWhereItCan) {
  const bool ends = IsExpectedToEnd(GetParam().ends);
  const auto one = process().Create();
  ValueOf(*one, "kept = 'kept'");
  const auto begin = std::chrono::steady_clock::now();
  const SessionAnswer answer = one->ExecuteAndInterrupt(GetParam().code, ends ? 5000 : 400);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begin);
  RecordProperty("milliseconds", static_cast<int>(took.count()));
  if (!ends) {
    EXPECT_EQ(answer.frame.frame_case(), internal::v1::GuestFrame::FRAME_NOT_SET)
        << answer.frame.ShortDebugString();
    return;
  }
  EXPECT_EQ(answer.finished().exception().type(), "KeyboardInterrupt")
      << answer.finished().ShortDebugString() << answer.error;
  EXPECT_EQ(ValueOf(*one, "kept"), "'kept'");
  // Nothing of the interrupts is left over.
  EXPECT_EQ(ValueOf(*one, "sum(i for i in range(20000))"), "199990000");
}

INSTANTIATE_TEST_SUITE_P(
    Isolated, IsolatedInterruptTest,
    testing::Values(
        InterruptCase{"Loop", "while True: pass"},
        InterruptCase{"Sleep", "import time; time.sleep(100)"},
        InterruptCase{"Select", "import os, select\nr, w = os.pipe()\nselect.select([r], [], [])"},
        InterruptCase{"Pipe", "import os\nr, w = os.pipe()\nos.read(r, 1)"},
        InterruptCase{"PipeAsFile", "import os\nr, w = os.pipe()\nopen(r, 'rb').read(1)",
                      Ends::kFrom315},
        InterruptCase{"SocketPair", "import socket\na, b = socket.socketpair()\na.recv(1)"},
        InterruptCase{"Asyncio", "import asyncio; asyncio.run(asyncio.sleep(100))"},
        InterruptCase{"Await", "import asyncio; await asyncio.sleep(100)"},
        InterruptCase{"Subprocess",
                      "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time; "
                      "time.sleep(100)'])"},
        InterruptCase{"Regex", "import re; re.match(r'(a+)+$', 'a' * 40 + 'b')", Ends::kFrom315},
        InterruptCase{"BigPower", "x = 7 ** (10 ** 8)", Ends::kFrom315},
        InterruptCase{"Lock", "import threading\nl = threading.Lock(); l.acquire(); l.acquire()"},
        InterruptCase{"RLock",
                      "import threading\nl = threading.RLock()\n"
                      "t = threading.Thread(target=l.acquire); t.start(); t.join()\nl.acquire()"},
        InterruptCase{"Event", "import threading; threading.Event().wait()"},
        InterruptCase{"Condition",
                      "import threading\nc = threading.Condition()\nwith c: c.wait(1000)"},
        InterruptCase{"Queue", "import queue; queue.Queue().get()"},
        InterruptCase{"SimpleQueue", "import queue; queue.SimpleQueue().get()"},
        InterruptCase{
            "Join",
            "import threading, time\nt = threading.Thread(target=time.sleep, args=(100,), "
            "daemon=True)\nt.start(); t.join()"},
        InterruptCase{"Future",
                      "import concurrent.futures as f, time\n"
                      "pool = f.ThreadPoolExecutor(1); pool.submit(time.sleep, 100).result()"},
        InterruptCase{"CatchesOnce",
                      "try:\n  while True: pass\nexcept BaseException: pass\nwhile True: pass"},
        // The pause keeps it from ending between the output and the loop.
        InterruptCase{"LoopInC", "try:\n  sum(range(10 ** 12))\nfinally: sum(range(10 ** 12))",
                      Ends::kNo},
        InterruptCase{"CatchesAlways",
                      "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
                      Ends::kNo}),
    [](const auto& info) { return info.param.name; });

using InterruptGateTest = FurtherInterpreterTest;

TEST_F(InterruptGateTest, WhenNothingRunsNothingIsHit) {
  const auto one = process().Create();
  for (int i = 0; i < 20; ++i) {
    for (int k = 0; k < 5; ++k) one->Interrupt();
    EXPECT_EQ(ValueOf(*one, "sum(i for i in range(2000))"), "1999000");
  }
}

TEST_F(InterruptGateTest, OthersAreNotHit) {
  const auto one = process().Create();
  const auto two = process().Create();
  internal::v1::ExecuteCell cell;
  cell.mutable_program()->set_code("import time\ntime.sleep(1)\nprint('slept')");
  two->SendCell(cell);
  EXPECT_EQ(one->ExecuteAndInterrupt("while True: pass").finished().exception().type(),
            "KeyboardInterrupt");
  EXPECT_EQ(two->AwaitFirst().output, "slept\n");
}

TEST_F(InterruptGateTest, ThreadsOfEarlierCellsGoOn) {
  const auto one = process().Create();
  ValueOf(*one,
          "import threading, time\nrounds = 0\ndef count():\n  global rounds\n"
          "  while True: rounds += 1; time.sleep(0.001)\n"
          "t = threading.Thread(target=count); t.start()");
  EXPECT_EQ(one->ExecuteAndInterrupt("while True: pass").finished().exception().type(),
            "KeyboardInterrupt");
  EXPECT_EQ(ValueOf(*one, "before = rounds; time.sleep(0.2); t.is_alive(), rounds > before"),
            "(True, True)");
  one->End();
}

TEST_F(InterruptGateTest, InputIsInterrupted) {
  const auto one = process().Create();
  internal::v1::ExecuteCell cell;
  cell.mutable_program()->set_code("input()");
  cell.set_allow_input(true);
  bool is_asked = false;
  one->on_frame = [&](const internal::v1::GuestFrame& frame) {
    if (!frame.has_input_request()) return;
    is_asked = true;
    one->Interrupt();
  };
  EXPECT_EQ(one->Execute(cell).finished().exception().type(), "KeyboardInterrupt");
  EXPECT_TRUE(is_asked);
}

TEST_F(InterruptGateTest, CellsThatAwaitCleanUp) {
  const auto one = process().Create();
  const SessionAnswer answer = one->ExecuteAndInterrupt(
      "import asyncio\ntry: await asyncio.sleep(100)\nfinally:\n"
      "  await asyncio.sleep(0.01); print('clean')");
  EXPECT_EQ(answer.finished().exception().type(), "KeyboardInterrupt") << answer.error;
}

TEST_F(InterruptGateTest, LocksStayWhatTheyAre) {
  const auto one = process().Create();
  EXPECT_EQ(
      ValueOf(*one,
              "import threading, weakref\nl = threading.Lock()\nr = threading.RLock()\n"
              "s = [l.acquire(), l.acquire(False), l.acquire(timeout=0.01), l.locked()]\n"
              "l.release()\nwith l, r, r: s += [r._is_owned(), r._recursion_count()]\n"
              "def error(f, *a, **k):\n  try: f(*a, **k)\n  except Exception as e: return repr(e)\n"
              "s += [error(l.release), error(r.release), error(l.acquire, timeout=-2),"
              " error(l.acquire, False, 1), weakref.ref(l)() is l, repr(l)[:28]]\ns"),
      "[True, False, False, True, True, 2, \"RuntimeError('release unlocked lock')\", "
      "\"RuntimeError('cannot release un-acquired lock')\", "
      "\"ValueError('timeout value must be a non-negative number')\", "
      "'ValueError(\"can\\'t specify a timeout for a non-blocking call\")', True, "
      "'<unlocked _thread.lock objec']");
}

}  // namespace
}  // namespace cloister::sandbox
