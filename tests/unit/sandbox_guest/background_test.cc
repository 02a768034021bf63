// Top-level await, tasks and threads that outlive their cell, and whose output is whose.

#include <gmock/gmock.h>

#include "tests/unit/sandbox_guest/session_test.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// What late frames of a cell say on stdout and stderr.
std::string LateOf(const SessionAnswer& seen, int64_t cell) {
  std::string text;
  for (const GuestFrame& frame : seen.unasked) {
    if (frame.late_output().cell() == cell) {
      text += frame.late_output().stdout() + frame.late_output().stderr();
    }
  }
  return text;
}

class BackgroundTest : public SessionTest {
 protected:
  // Waits between cells until a cell's late output ends so.
  SessionAnswer AwaitLate(int64_t cell, const std::string& end) {
    return session().Await([&](const SessionAnswer& seen) {
      const std::string text = LateOf(seen, cell);
      return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
    });
  }
};

// ---- await --------------------------------------------------------------------------------------

TEST_F(BackgroundTest, TopLevelAwait) {
  EXPECT_EQ(ValueOf("import asyncio\nawait asyncio.sleep(0, 5)"), "5");
  EXPECT_EQ(ValueOf("x = await asyncio.sleep(0, 6)\nx + 1"), "7");
  EXPECT_EQ(ValueOf("async def f():\n  yield 1\n  yield 2\n[i async for i in f()]"), "[1, 2]");
  EXPECT_EQ(ValueOf("async with asyncio.timeout(5) as t: pass\nt.expired()"), "False");
  EXPECT_EQ(ValueOf("l = asyncio.get_running_loop()\nawait asyncio.sleep(0)\nl is "
                    "asyncio.get_running_loop()"),
            "True");
}

TEST_F(BackgroundTest, OneLoopForAllCells) {
  ValueOf("import asyncio\nq = asyncio.Queue()\nawait q.put(1)\nl = asyncio.get_running_loop()");
  EXPECT_EQ(ValueOf("await q.get(), l is asyncio.get_running_loop()"), "(1, True)");
  EXPECT_EQ(ValueOf("asyncio.get_event_loop() is l"), "True");
}

TEST_F(BackgroundTest, EveryWayToRunACoroutine) {
  ValueOf("import asyncio\nasync def f(): return 7");
  EXPECT_EQ(ValueOf("asyncio.run(f())"), "7");
  EXPECT_EQ(ValueOf("asyncio.get_event_loop().run_until_complete(f())"), "7");
  EXPECT_EQ(ValueOf("t = asyncio.create_task(f())\nawait t"), "7");
  EXPECT_EQ(ValueOf("t = asyncio.ensure_future(f())"), "");
  EXPECT_EQ(ValueOf("await t"), "7");
  EXPECT_EQ(ValueOf("await asyncio.gather(f(), asyncio.to_thread(lambda: 8))"), "[7, 8]");
}

TEST_F(BackgroundTest, ContextVariablesStay) {
  ValueOf("import asyncio, contextvars\nv = contextvars.ContextVar('v', default=0)\nv.set(1)");
  EXPECT_EQ(ValueOf("await asyncio.sleep(0)\nold = v.get()\nv.set(2)\nold"), "1");
  EXPECT_EQ(ValueOf("v.get()"), "2");
}

TEST_F(BackgroundTest, TracebacksOfAwaitHaveOnlyTheUsersFrames) {
  const v1::Exception raised = Raised(
      Execute("import asyncio\nasync def f():\n  await asyncio.sleep(0)\n  1/0\nawait f()"),
      "ZeroDivisionError");
  ASSERT_THAT(raised.frames(), SizeIs(2));
  EXPECT_EQ(raised.frames(0).function(), "<module>");
  EXPECT_EQ(raised.frames(0).line(), 5);
  EXPECT_EQ(raised.frames(1).function(), "f");
}

TEST_F(BackgroundTest, AnInterruptCancelsWhatAwaits) {
  session().on_output = [this](const std::string&) { session().Interrupt(); };
  const SessionAnswer answer = Execute(
      "import asyncio\nprint('go', flush=True)\n"
      "try: await asyncio.sleep(100)\n"
      "finally:\n  await asyncio.sleep(0)\n  print('cleaned')");
  const v1::Exception raised = Raised(answer, "KeyboardInterrupt");
  EXPECT_EQ(raised.frames(0).line(), 3);
  EXPECT_EQ(answer.output, "go\ncleaned\n");
  EXPECT_THAT(raised.traceback(), Not(HasSubstr("cloister")));
  EXPECT_EQ(ValueOf("1"), "1");
}

TEST_F(BackgroundTest, ASecondInterruptRaisesAtOnce) {
  int interrupts = 0;
  session().on_output = [&](const std::string&) {
    // The second when the first has been heard.
    session().on_output = [&](const std::string&) { session().Interrupt(), ++interrupts; };
    session().Interrupt();
  };
  const SessionAnswer answer = Execute(
      "import asyncio\nprint('go', flush=True)\n"
      "try: await asyncio.sleep(100)\n"
      "finally:\n  print('again', flush=True)\n  while True: pass");
  Raised(answer, "KeyboardInterrupt");
  EXPECT_EQ(interrupts, 1);
  EXPECT_EQ(ValueOf("1"), "1");
}

TEST_F(BackgroundTest, TheLoopCanLetGoOfItsDescriptors) {
  ValueOf("import asyncio, os, socket\nasync def f(n):\n  await asyncio.sleep(0.01)\n  return n\n"
          "t = asyncio.create_task(f(5))\nown = asyncio.create_task.__globals__\n"
          "count = lambda: len(os.listdir('/proc/self/fd'))\nbefore = count()");
  EXPECT_EQ(ValueOf("own['release_descriptors'](); between = count(); own['take_descriptors']()\n"
                    "before - between, count() - before"),
            "(3, 0)");
  EXPECT_EQ(ValueOf("await t, await asyncio.to_thread(lambda: 6)"), "(5, 6)");
}

// ---- between cells ------------------------------------------------------------------------------

TEST_F(BackgroundTest, TasksGoOnBetweenCells) {
  ValueOf("import asyncio\nasync def f():\n  await asyncio.sleep(0.01)\n  print('late')\n"
          "t = asyncio.create_task(f())");
  const SessionAnswer seen = AwaitLate(1, "late\n");
  EXPECT_EQ(seen.output, "");
  EXPECT_EQ(ValueOf("t.done()"), "True");
}

TEST_F(BackgroundTest, TasksKeepTheirCellsNumberWhileOthersRun) {
  ValueOf("import asyncio\ngo = asyncio.Event()\n"
          "async def f():\n  await go.wait()\n  print('of one')\n  display('of one')\n"
          "t = asyncio.create_task(f())");
  const SessionAnswer answer = Execute("print('of two')\ngo.set()\nawait t");
  EXPECT_EQ(answer.output, "of two\n");
  EXPECT_EQ(LateOf(answer, 1), "of one\n");
  EXPECT_EQ(answer.unasked.back().display().cell(), 1);
}

TEST_F(BackgroundTest, AFaultyTaskDoesNotEndTheSession) {
  ValueOf("import asyncio, sys\nasync def f(): sys.exit(3)\nasync def g(): raise KeyboardInterrupt\n"
          "t = asyncio.create_task(f()), asyncio.create_task(g())");
  EXPECT_EQ(ValueOf("1"), "1");
  ValueOf("asyncio.get_event_loop().call_soon(lambda: 1 / 0)");
  AwaitLate(3, "ZeroDivisionError: division by zero\n");
  EXPECT_EQ(ValueOf("2"), "2");
  ValueOf("asyncio.get_event_loop().close()");
  EXPECT_EQ(ValueOf("await asyncio.sleep(0, 3)"), "3");
}

TEST_F(BackgroundTest, AnInterruptFreesAWedgedTask) {
  ValueOf("import asyncio\nasync def f():\n  print('wedged')\n  while True: pass\n"
          "t = asyncio.create_task(f())");
  AwaitLate(1, "wedged\n");
  session().Interrupt();
  EXPECT_EQ(ValueOf("1"), "1");
}

TEST_F(BackgroundTest, ThreadsGoOnBetweenCells) {
  ValueOf("import threading\ngate = threading.Event()\n"
          "def work(): gate.wait(); print('from one'); print('bad', file=sys.stderr)\n"
          "import sys\nt = threading.Thread(target=work); t.start()");
  const SessionAnswer answer = Execute("print('from two')\ngate.set()\nt.join()");
  EXPECT_EQ(answer.output, "from two\n");
  EXPECT_EQ(LateOf(answer, 1), "from one\nbad\n");
  ValueOf("threading.Timer(0.01, print, ['timer']).start()");
  AwaitLate(3, "timer\n");
}

TEST_F(BackgroundTest, ThreadsOfThreadsInherit) {
  ValueOf("import _thread, threading\nfrom concurrent.futures import ThreadPoolExecutor\n"
          "gate = threading.Event()\n"
          "def inner(): gate.wait(); print('inner')\n"
          "def outer(): threading.Thread(target=inner).start()\n"
          "t = threading.Thread(target=outer); t.start(); t.join()\n"
          "_thread.start_new_thread(inner, ())\n"
          "pool = ThreadPoolExecutor(1); pool.submit(inner)");
  const std::string early = LateOf(Execute("gate.set()"), 1);
  session().Await([&](const SessionAnswer& seen) {
    return early + LateOf(seen, 1) == "inner\ninner\ninner\n";
  });
}

TEST_F(BackgroundTest, ThreadsOfTheCellThatRunsAreNotLate) {
  const SessionAnswer answer = Execute(
      "import threading\nt = threading.Thread(target=print, args=('now',)); t.start(); t.join()");
  EXPECT_EQ(answer.output, "now\n");
  EXPECT_THAT(answer.unasked, IsEmpty());
}

TEST_F(BackgroundTest, LateOutputIsBounded) {
  ValueOf("import threading\ngate = threading.Event()\n"
          "def work():\n  gate.wait()\n  for i in range(100): print('x' * 99_999)\n"
          "t = threading.Thread(target=work); t.start()");
  const SessionAnswer answer = Execute("gate.set(); t.join()");
  const std::string late = LateOf(answer, 1);
  EXPECT_GT(late.size(), size_t{1} << 20);
  EXPECT_LT(late.size(), (size_t{1} << 20) + 100);
  EXPECT_THAT(late, EndsWith("... further late output is dropped ...\n"));
  for (const GuestFrame& frame : answer.unasked) {
    EXPECT_LE(frame.late_output().stdout().size(), size_t{64} << 10);
  }
  ValueOf("t = threading.Timer(0.01, print, ['again']); t.start()");
  AwaitLate(3, "again\n");
}

TEST_F(BackgroundTest, ManyWritersAtOnce) {
  ValueOf("import threading\ngate = threading.Event()\n"
          "def work(n):\n  gate.wait()\n  for i in range(200): print(n)\n"
          "ts = [threading.Thread(target=work, args=(n,)) for n in range(8)]\n"
          "for t in ts: t.start()");
  const SessionAnswer answer =
      Execute("gate.set()\nfor i in range(200): print('front')\nfor t in ts: t.join()");
  EXPECT_EQ(LateOf(answer, 1).size(), 8u * 200 * 2);
  EXPECT_EQ(answer.output.size(), 200u * 6);
}

TEST_F(BackgroundTest, ThreadsThatAreKilledOrHangDoNotBreakTheSession) {
  ValueOf("import ctypes, threading, time\n"
          "def work():\n  while True: time.sleep(0.001)\n"
          "t = threading.Thread(target=work); t.start()\n"
          "ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(t.ident), "
          "ctypes.py_object(SystemExit)); t.join()");
  ValueOf("threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
          "threading.Thread(target=threading.Event().wait).start()");
  EXPECT_EQ(ValueOf("threading.active_count()"), "3");
}

}  // namespace
}  // namespace cloister::sandbox
