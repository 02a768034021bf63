// Cells of a session: state, values, history, tracebacks.

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "sandbox/base/monotonic_time.h"

#include "tests/unit/sandbox_guest/guest_session.h"
#include "tests/unit/sandbox_guest/session_test.h"

namespace cloister::sandbox {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

using CellTest = SessionTest;

TEST_F(CellTest, StateStays) {
  EXPECT_EQ(ValueOf("x = 6"), "");
  EXPECT_EQ(ValueOf("def f(n): return n * 7"), "");
  EXPECT_EQ(ValueOf("f(x)"), "42");
}

TEST_F(CellTest, LastExpressionIsTheValue) {
  EXPECT_EQ(ValueOf("1\n2\n3"), "3");
  EXPECT_EQ(ValueOf("x = 1\nx + 1  # why not"), "2");
  EXPECT_EQ(ValueOf("1 + 1;"), "");
  EXPECT_EQ(ValueOf("None"), "");
  EXPECT_EQ(ValueOf(""), "");
  EXPECT_EQ(ValueOf("if True:\n  5"), "");
  EXPECT_EQ(Execute("'a'").finished().value().type_name(), "str");
}

// A last line that looks as if it assigned something, or belonged to a block.
TEST_F(CellTest, LastExpressionIsFoundWhateverItsLastLineLooksLike) {
  ValueOf("x = 1");
  const std::vector<std::pair<std::string, std::string>> cells = {
      {"x = 1;5", "5"},
      {"x = 1\r5", "5"},
      {"dict(\nx=2)", "{'x': 2}"},
      {"dict(a=[0],\nx=2)  # (", "{'a': [0], 'x': 2}"},
      {"dict(\nx='(')", "{'x': '('}"},
      {"[1,\n 2]", "[1, 2]"},
      {"(1 +\n (2)\n)", "3"},
      {"5\n  # note", "5"},
      {"5\n \f6", "6"},
      {"'''\nx=1 #'''", "'\\nx=1 #'"},
      {"\"\"\"\n x \"\"\"", "'\\n x '"},
      {"'\\\nx=2'", "'x=2'"},
      {"7 + \\\n 1", "8"},
      {"f'{\nx=}'", "'\\nx=1'"},
      {"# coding: utf-7\nx=1+AAo-9", "9"},
      {"x==1", "True"},
      {"x <= 1", "True"},
      {"x != 1", "False"},
      {"[x for x in\n (1, 2)]", "[1, 2]"},
      {"for y in [1]:\n  y\n  y", ""},
      {"for y in [1]:\n  y = (\n   2)\n", ""},
      {"x = [1,\n 2]", ""},
      {"x += [3]", ""},
      {"x = dict(a=(1))", ""},
      {"x.get('a')", "1"},
      {"x = 1  # note", ""},
      {"x", "1"},
  };
  for (const auto& [code, value] : cells) EXPECT_EQ(ValueOf(code), value) << code;
}

TEST_F(CellTest, HistoryIsKept) {
  ValueOf("10");
  ValueOf("20");
  ValueOf("y = 1");
  EXPECT_EQ(ValueOf("_, __, ___"), "(20, 10, '')");
  EXPECT_EQ(ValueOf("Out[1], Out[2], In[3], sorted(Out)"), "(10, 20, 'y = 1', [1, 2, 4])");
  EXPECT_EQ(ValueOf("len(In), In[6]"), "(7, 'len(In), In[6]')");
}

TEST_F(CellTest, UnderscoreStaysTheUsers) {
  ValueOf("5");
  EXPECT_EQ(ValueOf("_ = 'mine'"), "");
  EXPECT_EQ(ValueOf("6"), "6");
  EXPECT_EQ(ValueOf("_"), "'mine'");
  EXPECT_EQ(ValueOf("del _"), "");
  EXPECT_EQ(ValueOf("7"), "7");
  EXPECT_EQ(ValueOf("_"), "7");
}

TEST_F(CellTest, HistoryIsBounded) {
  for (int i = 0; i < 1100; ++i) ValueOf("object()");
  EXPECT_EQ(ValueOf("len(Out), min(Out), len([s for s in In if s])"), "(1000, 101, 1000)");
}

TEST_F(CellTest, HiddenCellsLeaveNoHistory) {
  internal::v1::ExecuteCell hidden;
  hidden.mutable_program()->set_code("seen = 1\n99");
  hidden.mutable_program()->set_return_value(true);
  hidden.mutable_options()->set_skip_history(true);
  EXPECT_EQ(session().Execute(hidden).finished().value().text(), "99");
  hidden.mutable_options()->set_silent(true);
  EXPECT_FALSE(session().Execute(hidden).finished().has_value());
  EXPECT_EQ(ValueOf("seen, _, len(In), len(Out)"), "(1, '', 2, 0)");
}

TEST_F(CellTest, FutureImportsStay) {
  ValueOf("from __future__ import annotations");
  EXPECT_EQ(ValueOf("def f(x: undefined_name): pass\nf.__annotations__"),
            "{'x': 'undefined_name'}");
}

TEST_F(CellTest, TracebackNamesCellsAndLines) {
  ValueOf("def f(n):\n    return 1 / n");
  const SessionAnswer answer = Execute("\nf(0)");
  const v1::Exception raised = Raised(answer, "ZeroDivisionError");
  ASSERT_THAT(raised.frames(), SizeIs(2));
  EXPECT_EQ(raised.frames(0).file(), "<cell 2>");
  EXPECT_EQ(raised.frames(0).line(), 2);
  EXPECT_EQ(raised.frames(1).file(), "<cell 1>");
  EXPECT_EQ(raised.frames(1).source_line(), "return 1 / n");
  EXPECT_EQ(raised.traceback(),
            "Traceback (most recent call last):\n"
            "  File \"<cell 2>\", line 2, in <module>\n"
            "    f(0)\n"
            "    ~^^^\n"
            "  File \"<cell 1>\", line 2, in f\n"
            "    return 1 / n\n"
            "           ~~^~~\n"
            "ZeroDivisionError: division by zero\n");
  EXPECT_EQ(answer.error, raised.traceback());
  EXPECT_EQ(ValueOf("'still here'"), "'still here'");
}

TEST_F(CellTest, SyntaxErrorsHaveNoFramesOfOurs) {
  const v1::Exception raised = Raised(Execute("x = (1,\n  2"), "SyntaxError");
  ASSERT_THAT(raised.frames(), SizeIs(1));
  EXPECT_EQ(raised.frames(0).file(), "<cell 1>");
  EXPECT_THAT(raised.traceback(), Not(HasSubstr("cloister")));
  EXPECT_THAT(Raised(Execute("return 1"), "SyntaxError").message(), HasSubstr("outside function"));
}

TEST_F(CellTest, FileNameOfTheProgramIsUsed) {
  internal::v1::ExecuteCell cell;
  cell.mutable_program()->set_code("1 / 0");
  cell.mutable_program()->set_file_name("analysis.py");
  EXPECT_EQ(Raised(session().Execute(cell), "ZeroDivisionError").frames(0).file(), "analysis.py");
}

TEST_F(CellTest, ExitEndsTheCellOnly) {
  const SessionAnswer answer = Execute("x = 3\nimport sys; sys.exit(5)");
  EXPECT_EQ(answer.finished().kind(), internal::v1::Finished::KIND_EXITED);
  EXPECT_EQ(answer.finished().exit_code(), 5);
  EXPECT_EQ(Execute("exit()").finished().kind(), internal::v1::Finished::KIND_EXITED);
  EXPECT_EQ(ValueOf("x"), "3");
}

TEST_F(CellTest, FaultyReprIsTheCellsError) {
  Raised(Execute("class R:\n  def __repr__(self): raise OSError('no')\nR()"), "OSError");
  EXPECT_EQ(ValueOf("1"), "1");
}

TEST_F(CellTest, FilesAndArgumentsOfEachCell) {
  internal::v1::ExecuteCell cell;
  cell.mutable_program()->set_code("import os; os.chdir('/tmp'); open('/workspace/a').read()");
  cell.mutable_program()->set_return_value(true);
  cell.mutable_program()->add_files()->set_path("a");
  cell.mutable_program()->mutable_files(0)->set_content("one");
  EXPECT_EQ(session().Execute(cell).finished().value().text(), "'one'");
  cell.mutable_program()->mutable_files(0)->set_content("two");
  (*cell.mutable_program()->mutable_environment())["A"] = "b";
  EXPECT_EQ(session().Execute(cell).finished().value().text(), "'two'");
  EXPECT_EQ(ValueOf("os.environ['A']"), "'b'");
}

TEST_F(CellTest, StandardInputIsOfItsCell) {
  internal::v1::ExecuteCell cell;
  cell.mutable_program()->set_code("[input(), input()]");
  cell.mutable_program()->set_return_value(true);
  cell.mutable_program()->set_stdin("a\nb\nc\n");
  EXPECT_EQ(session().Execute(cell).finished().value().text(), "['a', 'b']");
  EXPECT_EQ(session().Execute(cell).finished().value().text(), "['a', 'b']");
  EXPECT_EQ(ValueOf("import sys; sys.stdin.read()"), "''");
}

// ---- what cells may do to their own interpreter -------------------------------------------------

TEST_F(CellTest, StreamsAreRestored) {
  for (const char* damage :
       {"import sys; sys.stdout.close(); sys.stderr.close()", "import sys; sys.stdout = None",
        "import io, sys; sys.stdout = io.StringIO()", "import sys; del sys.stdout, sys.stderr",
        "import os; os.close(1); os.close(2); os.close(0)", "import sys; sys.stdout.detach()",
        "import sys; sys.stdin.close()", "import os; os.dup2(os.open('/dev/null', 1), 1)",
        "import os\nos.close(1)\nfile = open('/tmp/x', 'w')",
        "import sys; sys.stdout = sys.stderr = object()"}) {
    SCOPED_TRACE(damage);
    Execute(damage);
    const SessionAnswer answer = Execute("import os, sys; print('out'); os.write(1, b'raw\\n')\n"
                                         "print('err', file=sys.stderr); sys.stdin.read()");
    EXPECT_EQ(answer.output, "out\nraw\n");
    EXPECT_EQ(answer.error, "err\n");
    EXPECT_EQ(answer.finished().kind(), internal::v1::Finished::KIND_SUCCEEDED)
        << answer.finished().exception().traceback();
  }
}

TEST_F(CellTest, SabotageDoesNotBreakTheSession) {
  for (const char* damage :
       {"import builtins; builtins.input = None; builtins.print = builtins.compile = None",
        "import sys; sys.setrecursionlimit(40)", "import sys; sys.settrace(lambda *a: 1/0)",
        "import linecache; linecache.cache = None", "import sys; sys.displayhook = None",
        "import sys; sys.excepthook = None; 1/0", "import gc; gc.freeze(); gc.disable()",
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)",
        "In.clear(); Out.clear(); del In, Out, _", "import contextvars, threading\n"
        "for t in threading.enumerate(): t.name = None",
        "import os; os.chdir('/proc')", "import sys; sys.meta_path.clear()",
        "import sys; sys.modules.clear()"}) {
    SCOPED_TRACE(damage);
    GuestSession session(harness_.get());
    session.Execute(damage);
    const SessionAnswer answer = session.Execute("6 * 7");
    EXPECT_EQ(answer.finished().value().text(), "42")
        << answer.finished().exception().traceback() << answer.error;
  }
}

TEST_F(CellTest, ForksEndWithTheirCell) {
  const SessionAnswer answer =
      Execute("import os\npid = os.fork()\nif pid == 0: print('child', flush=True)\n"
              "else: print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))");
  EXPECT_EQ(answer.output, "child\n0\n");
  const SessionAnswer raised =
      Execute("pid = os.fork()\nif pid == 0: 1 / 0\nos.waitpid(pid, 0)[1] >> 8");
  EXPECT_EQ(raised.finished().value().text(), "1");
  EXPECT_THAT(raised.error, HasSubstr("ZeroDivisionError"));
  EXPECT_EQ(ValueOf("1 + 1"), "2");
}

TEST_F(CellTest, InterruptsRaiseAndStateStays) {
  ValueOf("x = 1");
  session().on_output = [this](const std::string&) { session().Interrupt(); };
  const SessionAnswer answer = Execute("x = 2\nprint('go', flush=True)\nwhile True: pass");
  const v1::Exception raised = Raised(answer, "KeyboardInterrupt");
  ASSERT_THAT(raised.frames(), SizeIs(1));
  EXPECT_EQ(raised.frames(0).file(), "<cell 2>");
  EXPECT_EQ(ValueOf("x"), "2");
}

TEST_F(CellTest, InterruptsBetweenCellsHitNothing) {
  ValueOf("x = 1");
  for (int i = 0; i < 20; ++i) {
    session().Interrupt();
    EXPECT_EQ(ValueOf("x"), "1");
  }
}

// Figures for people; only that they are there is checked.
TEST_F(CellTest, Timings) {
  const auto measure = [this](const std::string& code, bool with_value) {
    internal::v1::ExecuteCell cell;
    cell.mutable_program()->set_code(code);
    cell.mutable_program()->set_return_value(with_value);
    std::vector<int64_t> times;
    for (int i = 0; i < 500; ++i) {
      const int64_t start = MonotonicNanoseconds();
      session().Execute(cell);
      times.push_back(MonotonicNanoseconds() - start);
    }
    const int64_t first = times[0];
    const std::string cpu = "import time; time.process_time_ns()";
    const int64_t before = std::stoll(ValueOf(cpu));
    for (int i = 0; i < 500; ++i) session().Execute(cell);
    const int64_t used = std::stoll(ValueOf(cpu)) - before;
    std::sort(times.begin(), times.end());
    printf("first %5ld us  median %4ld us  processor %4ld us  %s\n", first / 1000,
           times[250] / 1000, used / 500 / 1000, code.c_str());
    EXPECT_GT(times[0], 0);
  };
  measure("x=1", false);
  measure("x=1\nx", true);
  measure("x=1\nx", false);
  measure("print(1)", false);
}

TEST_F(CellTest, ManyCells) {
  for (int i = 0; i < 3000; ++i) ASSERT_EQ(ValueOf("x = " + std::to_string(i) + "\nx"),
                                           std::to_string(i));
}

}  // namespace
}  // namespace cloister::sandbox
