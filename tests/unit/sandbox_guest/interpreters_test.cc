// Isolated and shared-GIL interpreters: their lives, and what they share.

#include "tests/unit/sandbox_guest/interpreters_test.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>
#include <vector>

#include "sandbox/base/monotonic_time.h"

namespace cloister::sandbox {
namespace {

using internal::v1::CreateInterpreter;
using internal::v1::Finished;
using internal::v1::GIL_PROFILE_ISOLATED;
using internal::v1::GIL_PROFILE_SHARED_GIL;
using testing::HasSubstr;

class InterpretersTest : public FurtherInterpreterTest {};

TEST_F(InterpretersTest, CellsKeepStateAndHaveTheirOwn) {
  const auto one = process().Create();
  const auto two = process().Create();
  EXPECT_EQ(ValueOf(*one, "x = 6\nx * 7"), "42");
  EXPECT_EQ(ValueOf(*two, "'x' in globals()"), "False");
  EXPECT_EQ(ValueOf(*one, "__name__, _, In[1], Out[1]"), "('__main__', 42, 'x = 6\\nx * 7', 42)");
  EXPECT_EQ(ValueOf(*two, "import sys; len(sys.argv), sys.path[0]"), "(1, '/workspace')");
}

TEST_F(InterpretersTest, PathIsThatOfMain) {
  const std::string code = "import sys; sys.path, sys.flags, sys.prefix, sys.executable";
  const std::string seen = ValueOf(*process().Create(), code);
  EndProcess();
  GuestSession main(harness_.get());
  EXPECT_EQ(seen, main.Execute(code).finished().value().text());
}

TEST_F(InterpretersTest, OutputGoesToItsOwnPipes) {
  const auto one = process().Create();
  const auto two = process().Create();
  const SessionAnswer first =
      one->Execute("import sys\nprint('out')\nprint('err', file=sys.stderr)");
  EXPECT_EQ(first.output, "out\n");
  EXPECT_EQ(first.error, "err\n");
  EXPECT_EQ(two->Execute("print('other', end='')").output, "other");
  EXPECT_EQ(process().TakeOutput(), "");
}

TEST_F(InterpretersTest, OutputOfCBelongsToTheProcess) {
  const auto one = process().Create();
  EXPECT_EQ(one->Execute("import os; n = os.write(1, b'raw')").output, "");
  EXPECT_EQ(process().TakeOutput(), "raw");
}

TEST_F(InterpretersTest, ExceptionsAreDataAndText) {
  const auto one = process().Create();
  const SessionAnswer answer = one->Execute("def f():\n  1 / 0\nf()");
  EXPECT_EQ(answer.finished().exception().type(), "ZeroDivisionError");
  ASSERT_EQ(answer.finished().exception().frames_size(), 2);
  EXPECT_EQ(answer.finished().exception().frames(1).source_line(), "1 / 0");
  EXPECT_THAT(answer.error, HasSubstr("File \"<cell 1>\", line 2, in f"));
  EXPECT_EQ(one->Execute("raise SystemExit(3)").finished().kind(), Finished::KIND_EXITED);
  EXPECT_EQ(ValueOf(*one, "1"), "1");
}

TEST_F(InterpretersTest, AwaitDisplayAndLateOutput) {
  const auto one = process().Create();
  EXPECT_EQ(ValueOf(*one, "import asyncio\nawait asyncio.sleep(0.01, 'slept')"), "'slept'");
  const SessionAnswer shown =
      one->Execute("from cloister import HTML, display; display(HTML('<b>'))");
  ASSERT_EQ(shown.unasked.size(), 1u);
  EXPECT_EQ(shown.unasked[0].display().data().bundle().data().at("text/html"), "<b>");
  ValueOf(*one,
          "async def late():\n  await asyncio.sleep(0.01)\n  print('late')\nt = "
          "asyncio.create_task(late())");
  const SessionAnswer later =
      one->Await([](const SessionAnswer& seen) { return !seen.unasked.empty(); });
  EXPECT_EQ(later.unasked[0].late_output().stdout(), "late\n");
}

TEST_F(InterpretersTest, InputCompletionAndInspection) {
  const auto one = process().Create();
  one->on_frame = [&](const internal::v1::GuestFrame& frame) {
    if (frame.has_input_request()) one->SendInput("me");
  };
  internal::v1::ExecuteCell cell;
  cell.mutable_program()->set_code("name = input('who? ')\nname");
  cell.mutable_program()->set_return_value(true);
  cell.set_allow_input(true);
  EXPECT_EQ(one->Execute(cell).finished().value().text(), "'me'");
  cell.mutable_program()->set_code("input() + input()");
  cell.mutable_program()->set_stdin("a\nb\n");
  cell.set_allow_input(false);
  EXPECT_EQ(one->Execute(cell).finished().value().text(), "'ab'");
  internal::v1::HostFrame frame;
  frame.mutable_complete()->set_code("nam");
  frame.mutable_complete()->set_cursor(3);
  EXPECT_EQ(one->Ask(frame).frame.completed().completions(0).text(), "name");
  frame.mutable_inspect()->set_code("name");
  frame.mutable_inspect()->set_cursor(4);
  EXPECT_EQ(one->Ask(frame).frame.inspected().value(), "'me'");
  frame.mutable_check_complete()->set_code("if x:");
  EXPECT_EQ(one->Ask(frame).frame.checked().status(), v1::CheckCompleteResponse::STATUS_INCOMPLETE);
}

TEST_F(InterpretersTest, EnvironmentIsAsGiven) {
  CreateInterpreter request = process().Request();
  (*request.mutable_environment())["COLOUR"] = "blue";
  const auto one = process().Create(request);
  const auto two = process().Create();
  EXPECT_EQ(ValueOf(*one, "import os; os.environ['COLOUR'], 'PATH' in os.environ"),
            "('blue', True)");
  EXPECT_EQ(ValueOf(*two, "import os; 'COLOUR' in os.environ, 'PATH' in os.environ"),
            "(False, True)");
}

TEST_F(InterpretersTest, IsolatedOnesRunAtTheSameTime) {
  const auto one = process().Create();
  const auto two = process().Create();
  std::thread busy([&] {
    ValueOf(
        *one,
        "import time\nt = time.monotonic()\nwhile time.monotonic() < t + 0.7: sum(range(10**6))");
  });
  // Each of these holds its own GIL for long stretches; with one GIL the other could not have run
  // meanwhile.
  EXPECT_EQ(ValueOf(*two, "sum(range(10))"), "45");
  busy.join();
}

TEST_F(InterpretersTest, FirstImportOfAnExtensionDoesNotWaitForOthers) {
  const auto one = process().Create();
  const auto two = process().Create();
  std::thread busy([&] { ValueOf(*one, "sum(range(5 * 10**7)) and None"); });
  const std::string seconds = ValueOf(*two,
                                      "import time; t = time.monotonic(); import _zoneinfo, "
                                      "_statistics; time.monotonic() - t < 0.5");
  EXPECT_EQ(seconds, "True");
  busy.join();
}

TEST_F(InterpretersTest, SharedGilServesCellsToo) {
  const auto one = process().Create(process().Request(GIL_PROFILE_SHARED_GIL));
  EXPECT_EQ(ValueOf(*one, "import json, threading; json.dumps([1])"), "'[1]'");
  one->End();
}

TEST_F(InterpretersTest, ImportsAskedForAreThere) {
  CreateInterpreter request = process().Request();
  request.add_imports("json");
  const auto one = process().Create(request);
  ASSERT_TRUE(one->opened.has_session_opened());
  EXPECT_EQ(ValueOf(*one, "import sys; 'json' in sys.modules"), "True");
}

TEST_F(InterpretersTest, ImportsThatFailSaySo) {
  CreateInterpreter request = process().Request();
  request.add_imports("json");
  request.add_imports("nope");
  const auto one = process().Create(request);
  EXPECT_EQ(one->opened.import_failed().module(), "nope");
  EXPECT_EQ(one->opened.import_failed().message(), "ModuleNotFoundError: No module named 'nope'");
  EXPECT_FALSE(one->opened.import_failed().is_refused_by_profile());
  one->End();
}

TEST_F(InterpretersTest, ImportsThatAreRefusedSaySo) {
  CreateInterpreter request = process().Request();
  request.add_imports("tracemalloc");  // whose extension module does not declare anything
  const auto one = process().Create(request);
  EXPECT_EQ(one->opened.import_failed().module(), "tracemalloc");
  EXPECT_TRUE(one->opened.import_failed().is_refused_by_profile());
  one->End();
}

TEST_F(InterpretersTest, RefusedImportsNameTheProfilesThatDo) {
  const auto one = process().Create();
  const SessionAnswer answer = one->Execute("import faulthandler");
  EXPECT_EQ(answer.finished().exception().type(), "ImportError");
  EXPECT_THAT(answer.error, HasSubstr("profile `process` and `main`"));
  EXPECT_EQ(one->Execute("import _imp; _imp._override_multi_interp_extensions_check(-1)")
                .finished()
                .exception()
                .type(),
            "RuntimeError");
}

TEST_F(InterpretersTest, ForksAreRefused) {
  const auto one = process().Create();
  EXPECT_EQ(one->Execute("import os; os.fork()").finished().exception().type(), "RuntimeError");
  EXPECT_EQ(
      ValueOf(*one,
              "import subprocess, sys\n"
              "subprocess.run([sys.executable, '-c', 'print(5)'], capture_output=True).stdout"),
      "b'5\\n'");
}

TEST_F(InterpretersTest, EndsWhatRunsAndItsThreads) {
  const auto one = process().Create();
  ValueOf(*one,
          "import threading, time\n"
          "def loop():\n  while True: time.sleep(0.001)\n"
          "threads = [threading.Thread(target=loop, daemon=d) for d in (True, False)]\n"
          "for t in threads: t.start()\n"
          "waits = threading.Thread(target=threading.Event().wait); waits.start()");
  internal::v1::ExecuteCell cell;
  cell.mutable_program()->set_code("print('on')\nwhile True: pass");
  one->SendCell(cell);
  one->Await([](const SessionAnswer& seen) { return !seen.output.empty(); });
  one->End();
  const SessionAnswer last = one->AwaitFirst();
  EXPECT_EQ(last.finished().exception().type(), "KeyboardInterrupt");
}

TEST_F(InterpretersTest, ExitFunctionsRunAndOpenFilesAreWritten) {
  const auto one = process().Create();
  ValueOf(*one,
          "import atexit\nf = open('/workspace/left', 'w'); n = f.write('open')\n"
          "atexit.register(lambda: open('/workspace/exit', 'w').write('ran'))");
  one->End();
  const auto two = process().Create();
  EXPECT_EQ(ValueOf(*two, "open('/workspace/left').read(), open('/workspace/exit').read()"),
            "('open', 'ran')");
}

TEST_F(InterpretersTest, AWedgedOneIsNotAnswered) {
  const auto one = process().Create();
  internal::v1::ExecuteCell cell;
  cell.mutable_program()->set_code("print('on')\nsum(range(10**12))");
  one->SendCell(cell);
  one->Await([](const SessionAnswer& seen) { return !seen.output.empty(); });
  // Beyond the instructions before the call, which an interrupt ends.
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  internal::v1::HostFrame frame;
  frame.mutable_end_interpreter()->set_interpreter(one->number());
  EXPECT_EQ(process().Ask(frame, {}, 500).frame_case(), internal::v1::GuestFrame::FRAME_NOT_SET);
  const auto two = process().Create();
  EXPECT_EQ(ValueOf(*two, "1 + 1"), "2");
}

TEST_F(InterpretersTest, ClosingItsChannelEndsIt) {
  auto one = process().Create();
  const int64_t number = one->number();
  one.reset();
  internal::v1::HostFrame frame;
  frame.mutable_end_interpreter()->set_interpreter(number);
  EXPECT_EQ(process().Ask(frame).interpreter_ended().interpreter(), number);
}

TEST_F(InterpretersTest, WrongRequestsAreAnswered) {
  const auto one = process().Create();
  CreateInterpreter request = process().Request();
  request.set_interpreter(one->number());
  EXPECT_TRUE(process().Create(request)->opened.has_interpreter_failed());
  EXPECT_TRUE(process()
                  .Create(process().Request(internal::v1::GIL_PROFILE_UNSPECIFIED))
                  ->opened.has_interpreter_failed());
  internal::v1::HostFrame frame;
  frame.mutable_interrupt_interpreter()->set_interpreter(99);
  EXPECT_TRUE(process().Ask(frame).has_interpreter_interrupted());
  // Nor of one that failed as the host sent this: it is not waited for.
  frame.mutable_end_interpreter()->set_interpreter(99);
  EXPECT_EQ(process().Ask(frame, {}, 500).frame_case(), internal::v1::GuestFrame::FRAME_NOT_SET);
}

int64_t ProcessorTicks(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string field;
  int64_t user = 0, system = 0;
  for (int i = 0; i < 13; ++i) stat >> field;
  stat >> user >> system;
  return user + system;
}

// Of one that is made by itself, and what ending it takes; recorded, not judged.
TEST_F(InterpretersTest, CreationIsTimed) {
  std::vector<int64_t> made, ended;
  const int64_t processor_before = ProcessorTicks(process().pid());
  for (int i = 0; i < 15; ++i) {
    const int64_t start = MonotonicNanoseconds();
    const auto one = process().Create();
    made.push_back(MonotonicNanoseconds() - start);
    one->End();
    ended.push_back(MonotonicNanoseconds() - start - made.back());
  }
  std::sort(made.begin(), made.end());
  std::sort(ended.begin(), ended.end());
  RecordProperty("create_microseconds", static_cast<int>(made[made.size() / 2] / 1000));
  // Of both, whatever else the machine does.
  RecordProperty("processor_microseconds",
                 static_cast<int>((ProcessorTicks(process().pid()) - processor_before) * 1'000'000 /
                                  sysconf(_SC_CLK_TCK) / static_cast<int64_t>(made.size())));
  RecordProperty("end_microseconds", static_cast<int>(ended[ended.size() / 2] / 1000));
}

// ---- memory -------------------------------------------------------------------------------------

TEST_F(InterpretersTest, MemoryIsCountedAndBounded) {
  CreateInterpreter request = process().Request();
  request.set_memory_bytes(64 << 20);
  const auto one = process().Create(request);
  const auto two = process().Create();
  const int64_t before = one->Execute("pass").finished().memory().current_bytes();
  EXPECT_GT(before, 1 << 20);
  EXPECT_LT(before, 20 << 20);
  const Finished large = one->Execute("kept = bytes(30 << 20)").finished();
  EXPECT_GT(large.memory().current_bytes(), before + (29 << 20));
  EXPECT_LT(large.memory().current_bytes(), before + (32 << 20));
  EXPECT_EQ(one->Execute("more = bytes(60 << 20)").finished().exception().type(), "MemoryError");
  EXPECT_EQ(one->Execute("many = []\nwhile True: many.append(str(len(many)) * 9)")
                .finished()
                .exception()
                .type(),
            "MemoryError");
  EXPECT_EQ(ValueOf(*one, "del many; len(kept)"), std::to_string(30 << 20));
  const SessionAnswer threaded = one->Execute(
      "import threading\ncaught = []\ndef f():\n  try: bytes(60 << 20)\n  except MemoryError: "
      "caught.append(1)\n"
      "t = threading.Thread(target=f); t.start(); t.join(); len(caught)");
  EXPECT_EQ(threaded.finished().value().text(), "1");
  EXPECT_EQ(ValueOf(*two, "len(bytes(100 << 20))"), std::to_string(100 << 20));
  const internal::v1::InterpreterEnded ended = one->End();
  EXPECT_LT(ended.memory().current_bytes(), 64 << 10);
  EXPECT_GT(ended.memory().peak_bytes(), 60 << 20);
}

int64_t ResidentBytes(pid_t pid) {
  std::ifstream statm("/proc/" + std::to_string(pid) + "/statm");
  int64_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * 4096;
}

TEST_F(InterpretersTest, EndedOnesLeaveNothingBehind) {
  const auto live_once = [&] {
    const auto one = process().Create();
    ValueOf(*one,
            "import json, threading\nt = threading.Thread(target=print)\nt.start(); t.join()\n"
            "kept = [dict(a=i) for i in range(10000)]");
    EXPECT_LT(one->End().memory().current_bytes(), 64 << 10);
  };
  for (int i = 0; i < 20; ++i) live_once();
  const int64_t before = ResidentBytes(process().pid());
  for (int i = 0; i < 200; ++i) live_once();
  EXPECT_LT(ResidentBytes(process().pid()), before + (8 << 20));
}

}  // namespace
}  // namespace cloister::sandbox
