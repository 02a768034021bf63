// The many ways in which a program ends.

#include "tests/unit/sandbox_guest/guest_test.h"

namespace cloister::sandbox {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using ProgramEndTest = GuestTest;

TEST_F(ProgramEndTest, EmptyCodeSucceeds) {
  const GuestRun run = Run("");
  ExpectSucceeded(run);
  EXPECT_EQ(run.output + run.error, "");
  EXPECT_EQ(run.wait_code, CLD_EXITED);
  EXPECT_EQ(run.wait_status, 0);
}

TEST_F(ProgramEndTest, SyntaxError) {
  const GuestRun run = Run("x = 1\ny = = 2\n");
  const v1::Exception raised = ExpectRaised(run, "SyntaxError");
  EXPECT_EQ(raised.message(), "invalid syntax (main.py, line 2)");
  ASSERT_EQ(raised.frames_size(), 1);
  EXPECT_EQ(raised.frames(0).file(), "main.py");
  EXPECT_EQ(raised.frames(0).line(), 2);
  EXPECT_EQ(raised.frames(0).source_line(), "y = = 2");
  EXPECT_EQ(raised.frames(0).column(), 4);
  EXPECT_EQ(raised.frames(0).end_column(), 5);
  EXPECT_EQ(run.error,
            "  File \"main.py\", line 2\n    y = = 2\n        ^\nSyntaxError: invalid syntax\n");
}

TEST_F(ProgramEndTest, NulByte) {
  const GuestRun run = Run(std::string("x = 1\0\n", 7));
  EXPECT_EQ(ExpectRaised(run, "SyntaxError").message(),
            "source code string cannot contain null bytes");
}

TEST_F(ProgramEndTest, InvalidUtf8) {
  // The words differ between versions.
  EXPECT_THAT(ExpectRaised(Run("x = '\xff'\n"), "SyntaxError").message(), HasSubstr("xff"));
}

TEST_F(ProgramEndTest, DeclaredEncodingIsHonoured) {
  const GuestRun run = Run("# -*- coding: latin-1 -*-\nprint('\xe9' == '\\xe9')\n1 / 0 # \xe9\n");
  EXPECT_EQ(run.output, "True\n");
  EXPECT_EQ(ExpectRaised(run, "ZeroDivisionError").frames(0).source_line(), "1 / 0 # \xc3\xa9");
  EXPECT_THAT(ExpectRaised(Run("# coding: nonsense\n"), "SyntaxError").message(),
              HasSubstr("nonsense"));
}

TEST_F(ProgramEndTest, SystemExitOfEveryKind) {
  struct {
    const char* code;
    int status;
    const char* error;
  } const cases[] = {
      {"import sys; sys.exit()", 0, ""},
      {"import sys; sys.exit(None)", 0, ""},
      {"import sys; sys.exit(7)", 7, ""},
      {"import sys; sys.exit(256 + 3)", 3, ""},
      {"import sys; sys.exit(-1)", 255, ""},
      {"import sys; sys.exit(10 ** 40)", 255, ""},
      {"import sys; sys.exit(True)", 1, ""},
      {"import sys; sys.exit('a reason')", 1, "a reason\n"},
      {"import sys; sys.exit(1.5)", 1, "1.5\n"},
      {"import sys; sys.exit((1, 2))", 1, "(1, 2)\n"},
      {"raise SystemExit", 0, ""},
      {"class E(SystemExit): pass\nraise E(4)", 4, ""},
      {"class B:\n  def __str__(self): raise OSError\nraise SystemExit(B())", 1, ""},
      {"exit(5)", 5, ""},
      {"def f():\n  try: raise SystemExit(3)\n  finally: print(end='')\nf()", 3, ""},
  };
  for (const auto& exit : cases) {
    SCOPED_TRACE(exit.code);
    const GuestRun run = Run(exit.code);
    ExpectExited(run, exit.status);
    EXPECT_EQ(run.error, exit.error);
  }
}

TEST_F(ProgramEndTest, ImmediateExitIsLeftToTheHost) {
  const GuestRun run = Run("import os; print('before'); os._exit(3)");
  EXPECT_FALSE(run.finished.has_value());
  EXPECT_EQ(run.output, "before\n");
  EXPECT_EQ(run.wait_code, CLD_EXITED);
  EXPECT_EQ(run.wait_status, 3);
}

TEST_F(ProgramEndTest, CrashShowsTheLine) {
  const GuestRun run = Run("import ctypes\ndef f():\n    ctypes.string_at(0)\nf()\n");
  EXPECT_FALSE(run.finished.has_value());
  EXPECT_NE(run.wait_code, CLD_EXITED);
  EXPECT_EQ(run.wait_status, SIGSEGV);
  EXPECT_THAT(run.error, StartsWith("Fatal Python error: Segmentation fault"));
  EXPECT_THAT(run.error,
              HasSubstr("File \"main.py\", line 3 in f\n  File \"main.py\", line 4 in <module>\n"));
}

TEST_F(ProgramEndTest, ForbiddenCallShowsTheLineAndKills) {
  const GuestRun run =
      Run("import os, signal\ndef f():\n    os.kill(os.getpid(), signal.SIGSYS)\nf()\n");
  EXPECT_FALSE(run.finished.has_value());
  EXPECT_NE(run.wait_code, CLD_EXITED);
  EXPECT_EQ(run.wait_status, SIGSYS);
  EXPECT_THAT(run.error,
              HasSubstr("File \"main.py\", line 3 in f\n  File \"main.py\", line 4 in <module>\n"));
}

TEST_F(ProgramEndTest, AbortIsASignal) {
  const GuestRun run = Run("import os; os.abort()");
  EXPECT_FALSE(run.finished.has_value());
  EXPECT_EQ(run.wait_status, SIGABRT);
}

TEST_F(ProgramEndTest, ExitFunctionsRunInReverse) {
  const GuestRun run =
      Run("import atexit\n"
          "atexit.register(print, 'first')\n"
          "atexit.register(lambda: 1 / 0)\n"
          "atexit.register(print, 'second')\n"
          "print('end')\n");
  ExpectSucceeded(run);
  EXPECT_EQ(run.output, "end\nsecond\nfirst\n");
  EXPECT_THAT(run.error, HasSubstr("ZeroDivisionError"));
}

TEST_F(ProgramEndTest, ExitFunctionsRunAfterTheTraceback) {
  const GuestRun run =
      Run("import atexit, sys\natexit.register(lambda: print('bye', file=sys.stderr))\n1 / 0");
  ExpectRaised(run, "ZeroDivisionError");
  EXPECT_THAT(run.error, testing::EndsWith("ZeroDivisionError: division by zero\nbye\n"));
}

TEST_F(ProgramEndTest, ThreadsAreJoined) {
  const GuestRun run =
      Run("import threading\ngate = threading.Event()\n"
          "def work():\n  gate.wait()\n  print('worked')\n"
          "threading.Thread(target=work).start()\nprint('end')\ngate.set()\n");
  ExpectSucceeded(run);
  EXPECT_EQ(run.output, "end\nworked\n");
}

TEST_F(ProgramEndTest, DaemonThreadsAreNotWaitedFor) {
  const GuestRun run =
      Run("import threading\nthreading.Thread(target=threading.Event().wait, "
          "daemon=True).start()\nprint('end')");
  ExpectSucceeded(run);
  EXPECT_EQ(run.output, "end\n");
  EXPECT_EQ(run.error, "");
}

TEST_F(ProgramEndTest, BusyDaemonThreadSaysNothingAtTheEnd) {
  const GuestRun run =
      Run("import threading, math\nstarted = threading.Event()\n"
          "def spin():\n  while True: math.sqrt(2); started.set()\n"
          "threading.Thread(target=spin, daemon=True).start()\nstarted.wait()\n");
  ExpectSucceeded(run);
  EXPECT_EQ(run.error, "");
}

TEST_F(ProgramEndTest, ExceptionInAThreadIsShownAndNotTheEnd) {
  const GuestRun run =
      Run("import threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start()\nt.join()");
  ExpectSucceeded(run);
  EXPECT_THAT(run.error, StartsWith("Exception in thread Thread-1 (<lambda>):\nTraceback"));
}

TEST_F(ProgramEndTest, ObjectsOfMainAreFinalised) {
  const GuestRun run =
      Run("class Guard:\n  def __del__(self): print('released')\n"
          "guard = Guard()\n"
          "cycle = Guard(); cycle.me = cycle\n"
          "print('end')\n");
  ExpectSucceeded(run);
  EXPECT_EQ(run.output, "end\nreleased\nreleased\n");
}

TEST_F(ProgramEndTest, ClearedModules) {
  ExpectSucceeded(Run("import sys\nsys.modules.clear()\n"));
  ExpectRaised(Run("import sys\nsys.modules.clear()\n1 / 0"), "ZeroDivisionError");
}

TEST_F(ProgramEndTest, ClosedStandardStreams) {
  ExpectSucceeded(Run("import os\nos.close(0); os.close(1); os.close(2)"));
  ExpectSucceeded(Run("import sys\nsys.stdout.close(); sys.stderr.close()"));
  ExpectRaised(Run("import sys\nsys.stdout = sys.stderr = None\n1 / 0"), "ZeroDivisionError");
}

TEST_F(ProgramEndTest, InterruptRaises) {
  internal::v1::RunProgram request;
  request.mutable_program()->set_code(
      "import os, signal\ntry:\n  os.kill(os.getpid(), signal.SIGINT)\n  while True: pass\n"
      "finally: print('cleaned up')\n");
  const GuestRun run = harness_->Run(request);
  const v1::Exception raised = ExpectRaised(run, "KeyboardInterrupt");
  EXPECT_EQ(raised.frames_size(), 1);
  EXPECT_EQ(run.output, "cleaned up\n");
}

TEST_F(ProgramEndTest, ChannelClosedByTheProgramIsNotAnExit) {
  const GuestRun run =
      Run("import os, atexit, signal\nos.close(3)\nsignal.setitimer(signal.ITIMER_REAL, 0.2)");
  EXPECT_FALSE(run.finished.has_value());
  EXPECT_NE(run.wait_code, CLD_EXITED);
  EXPECT_EQ(run.wait_status, SIGALRM) << "it waited to be killed";
}

TEST_F(ProgramEndTest, HandlersOfTheProgramDoNotBreakTheReport) {
  const v1::Exception raised =
      ExpectRaised(Run("import signal\ndef handler(*a): raise OSError('from a handler')\n"
                       "signal.signal(signal.SIGALRM, handler)\n"
                       "class E(Exception):\n  def __str__(self):\n"
                       "    signal.setitimer(signal.ITIMER_REAL, 1e-6)\n    for i in range(10**6): "
                       "pass\n    return 'text'\n"
                       "raise E"),
                   "E");
  EXPECT_EQ(raised.message(), "text");
}

}  // namespace
}  // namespace cloister::sandbox
