// stdout and stderr, from Python and from C.

#include "tests/unit/sandbox_guest/guest_test.h"

namespace cloister::sandbox {
namespace {

using testing::HasSubstr;

using OutputTest = GuestTest;

TEST_F(OutputTest, BytesOfEveryWayToWriteStayInOrder) {
  const GuestRun run =
      Run("import ctypes, os, sys\n"
          "libc = ctypes.CDLL(None)\n"
          "print('print')\n"
          "libc.puts(b'puts')\n"
          "os.write(1, b'write\\n')\n"
          "sys.stdout.write('text\\n')\n"
          "sys.stdout.buffer.write(b'raw \\xff\\n')\n"
          "libc.printf(b'printf\\n')\n"
          "print('no newline', end='')\n"
          "os._exit(0)\n");
  EXPECT_EQ(run.output, "print\nputs\nwrite\ntext\nraw \xff\nprintf\nno newline");
}

TEST_F(OutputTest, PrintIsPython) {
  const GuestRun run =
      Run("import io, sys\n"
          "print()\n"
          "print(1, 2.5, None, True, 'x', [1, 'a'], b'b')\n"
          "print(1, 2, sep='-', end='!\\n')\n"
          "print(1, 2, sep=None, end=None)\n"
          "print(end='empty\\n')\n"
          "print('a', 'b', sep='', flush=True)\n"
          "class E(str):\n  def __str__(self): return 'no'\n"
          "print('c', end=E('!\\n'))\n"
          "print('é', '\\udcff')\n"
          "f = io.StringIO(); print('a', 'b', file=f); print(repr(f.getvalue()))\n"
          "print('flushed', flush=True)\n"
          "try: print('x', nonsense=1)\n"
          "except TypeError as e: print(e)\n"
          "old, sys.stdout = sys.stdout, io.StringIO(); print('hidden'); sys.stdout = old\n"
          "sys.stdout = None; print('nowhere'); sys.stdout = old\n"
          "print(print, print.__doc__.splitlines()[0], print.__name__, print.__module__)\n");
  ExpectSucceeded(run);
  EXPECT_EQ(
      run.output,
      "\n1 2.5 None True x [1, 'a'] b'b'\n1-2!\n1 2\nempty\nab\ncno\xc3\xa9 \xff\n'a "
      "b\\n'\nflushed\n"
      "print() got an unexpected keyword argument 'nonsense'\n"
      "<built-in function print> Prints the values to a stream, or to sys.stdout by default. print "
      "builtins\n");
}

TEST_F(OutputTest, ArgumentsThatPrintComeInOrder) {
  const GuestRun run =
      Run("class Loud:\n  def __str__(self):\n    print('[loud]', end='')\n    return 'text'\n"
          "class Bad:\n  def __str__(self): raise KeyError\n"
          "print('a', Loud())\n"
          "try: print('b', Bad())\n"
          "except KeyError: print('|')\n"
          "class S(str):\n  def __str__(self): return 'other'\n"
          "print(S('x'))\n");
  ExpectSucceeded(run);
  EXPECT_EQ(run.output, "a [loud]text\nb |\nother\n");
}

TEST_F(OutputTest, ALineIsOneWrite) {
  // Each read sees what one write wrote: the other end of a packet-mode pipe.
  const GuestRun run =
      Run("import os\n"
          "r, w = os.pipe2(os.O_DIRECT)\n"
          "keep = os.dup(1)\n"
          "os.dup2(w, 1)\n"
          "print('a', 'b', 3)\n"
          "print('c', 'd', sep=', ', end='')\n"
          "os.dup2(keep, 1)\n"
          "print(os.read(r, 100), os.read(r, 100))\n");
  EXPECT_EQ(run.output, "b'a b 3\\n' b'c, d'\n");
}

TEST_F(OutputTest, WritesAreWholeThoughSignalsArrive) {
  // The pipe is full most of the time, and a timer interrupts every write.
  const GuestRun run =
      Run("import signal\nsignal.signal(signal.SIGALRM, lambda *a: None)\n"
          "signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)\n"
          "for i in range(20): print(str(i % 10) * 300_000)\n");
  ExpectSucceeded(run);
  EXPECT_EQ(run.output.size(), 20u * 300'001u);
}

TEST_F(OutputTest, StreamsLookAsUsual) {
  const GuestRun run =
      Run("import sys\n"
          "for s in (sys.stdin, sys.stdout, sys.stderr):\n"
          "  print(s.name, s.mode, s.encoding, s.fileno(), s.isatty(), s is getattr(sys, '__' + "
          "s.name[1:-1] + '__'))\n");
  ExpectSucceeded(run);
  EXPECT_EQ(run.output,
            "<stdin> r utf-8 0 False True\n<stdout> w utf-8 1 False True\n<stderr> w utf-8 2 False "
            "True\n");
}

TEST_F(OutputTest, ClosedOutputIsAnErrorOfTheProgram) {
  EXPECT_THAT(ExpectRaised(Run("import os\nos.close(1)\nprint('x')"), "OSError").message(),
              HasSubstr("Bad file descriptor"));
  EXPECT_EQ(ExpectRaised(Run("import sys\nsys.stdout.close()\nprint('x')"), "ValueError").message(),
            "I/O operation on closed file.");
}

}  // namespace
}  // namespace cloister::sandbox
