// Exceptions as data, as text, and against hostile ones.

#include "tests/unit/sandbox_guest/guest_test.h"

namespace cloister::sandbox {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

using ExceptionTest = GuestTest;

TEST_F(ExceptionTest, HasTypeMessageAndFrames) {
  const GuestRun run =
      Run("class Shop:\n"
          "    def sell(self, n):\n"
          "        return 10 / n\n"
          "Shop().sell(0)\n");
  const v1::Exception raised = ExpectRaised(run, "ZeroDivisionError");
  EXPECT_EQ(raised.module(), "builtins");
  EXPECT_EQ(raised.message(), "division by zero");
  ASSERT_THAT(raised.frames(), SizeIs(2));
  EXPECT_EQ(raised.frames(0).file(), "main.py");
  EXPECT_EQ(raised.frames(0).line(), 4);
  EXPECT_EQ(raised.frames(0).function(), "<module>");
  EXPECT_EQ(raised.frames(0).source_line(), "Shop().sell(0)");
  EXPECT_EQ(raised.frames(1).line(), 3);
  EXPECT_EQ(raised.frames(1).function(), "Shop.sell");
  EXPECT_EQ(raised.frames(1).source_line(), "return 10 / n");
  EXPECT_EQ(raised.frames(1).column(), 15);
  EXPECT_EQ(raised.frames(1).end_column(), 21);
}

TEST_F(ExceptionTest, TextIsWhatPythonShows) {
  const std::string expected =
      "Traceback (most recent call last):\n"
      "  File \"main.py\", line 3, in <module>\n"
      "    f(0)\n"
      "    ~^^^\n"
      "  File \"main.py\", line 2, in f\n"
      "    return 1 / n\n"
      "           ~~^~~\n"
      "ZeroDivisionError: division by zero\n";
  const GuestRun run = Run("def f(n):\n    return 1 / n\nf(0)\n");
  EXPECT_EQ(ExpectRaised(run, "ZeroDivisionError").traceback(), expected);
  EXPECT_EQ(run.error, expected);
}

TEST_F(ExceptionTest, OwnClassIsNamedWithItsModule) {
  const v1::Exception raised = ExpectRaised(
      Run("class Outer:\n  class Bad(Exception): pass\nraise Outer.Bad(1, 2)"), "Outer.Bad");
  EXPECT_EQ(raised.module(), "__main__");
  EXPECT_EQ(raised.message(), "(1, 2)");
  EXPECT_THAT(raised.traceback(), HasSubstr("\nOuter.Bad: (1, 2)\n"));
}

TEST_F(ExceptionTest, NotesAreKept) {
  const v1::Exception raised = ExpectRaised(
      Run("e = ValueError('x')\ne.add_note('first')\ne.add_note('second')\nraise e"), "ValueError");
  EXPECT_THAT(raised.notes(), ElementsAre("first", "second"));
  EXPECT_THAT(raised.traceback(), HasSubstr("ValueError: x\nfirst\nsecond\n"));
}

TEST_F(ExceptionTest, NotesMayBeAnything) {
  const v1::Exception raised =
      ExpectRaised(Run("class R:\n  def __repr__(self): raise OSError\n"
                       "e = ValueError('x')\ne.__notes__ = [1, R()]\nraise e"),
                   "ValueError");
  EXPECT_THAT(raised.notes(), ElementsAre("1", "<unprintable note>"));
}

TEST_F(ExceptionTest, CauseIsFollowed) {
  const v1::Exception raised = ExpectRaised(
      Run("try:\n  {}['k']\nexcept KeyError as e:\n  raise ValueError('outer') from e"),
      "ValueError");
  EXPECT_EQ(raised.cause().type(), "KeyError");
  EXPECT_EQ(raised.cause().message(), "'k'");
  EXPECT_FALSE(raised.has_context());
  EXPECT_THAT(raised.traceback(), HasSubstr("direct cause of the following exception"));
  EXPECT_EQ(raised.cause().traceback(), "") << "the text is the outermost exception's";
}

TEST_F(ExceptionTest, ContextIsFollowedUnlessSuppressed) {
  const v1::Exception raised = ExpectRaised(
      Run("try:\n  {}['k']\nexcept KeyError:\n  raise ValueError('outer')"), "ValueError");
  EXPECT_EQ(raised.context().type(), "KeyError");
  EXPECT_FALSE(raised.has_cause());
  const v1::Exception suppressed =
      ExpectRaised(Run("try:\n  {}['k']\nexcept KeyError:\n  raise ValueError('outer') from None"),
                   "ValueError");
  EXPECT_FALSE(suppressed.has_context());
}

TEST_F(ExceptionTest, CyclesEnd) {
  const v1::Exception raised = ExpectRaised(
      Run("a, b = ValueError('a'), TypeError('b')\na.__cause__ = b\nb.__cause__ = a\nraise a"),
      "ValueError");
  EXPECT_EQ(raised.cause().type(), "TypeError");
  EXPECT_FALSE(raised.cause().has_cause());
  EXPECT_EQ(raised.cause().omitted_exception_count(), 0) << "it was described, further out";
}

TEST_F(ExceptionTest, DeepChainsAreCutAndCounted) {
  const v1::Exception raised =
      ExpectRaised(Run("e = ValueError(0)\nfor i in range(1, 40):\n  n = ValueError(i)\n  "
                       "n.__cause__ = e\n  e = n\nraise e"),
                   "ValueError");
  const v1::Exception* deepest = &raised;
  int depth = 1;
  for (; deepest->has_cause(); deepest = &deepest->cause()) ++depth;
  EXPECT_EQ(depth, 16);
  EXPECT_EQ(deepest->omitted_exception_count(), 1);
}

TEST_F(ExceptionTest, GroupsHaveMembers) {
  const v1::Exception raised = ExpectRaised(Run("raise ExceptionGroup('many', [ValueError('v'), "
                                                "ExceptionGroup('inner', [KeyError('k')])])"),
                                            "ExceptionGroup");
  EXPECT_EQ(raised.message(), "many (2 sub-exceptions)");
  ASSERT_THAT(raised.exceptions(), SizeIs(2));
  EXPECT_EQ(raised.exceptions(0).message(), "v");
  ASSERT_THAT(raised.exceptions(1).exceptions(), SizeIs(1));
  EXPECT_EQ(raised.exceptions(1).exceptions(0).type(), "KeyError");
  EXPECT_THAT(raised.traceback(), HasSubstr("+---------------- 2 ----------------"));
}

TEST_F(ExceptionTest, WideGroupsAreCutAndCounted) {
  const v1::Exception raised = ExpectRaised(
      Run("raise ExceptionGroup('x', [ValueError(i) for i in range(1000)])"), "ExceptionGroup");
  EXPECT_EQ(raised.exceptions_size() + raised.omitted_exception_count(), 1000);
  EXPECT_EQ(raised.exceptions_size(), 63);
}

TEST_F(ExceptionTest, DeepRecursionKeepsFirstAndLastFrames) {
  const GuestRun run = Run("def f(n): return f(n + 1)\nf(0)");
  const v1::Exception raised = ExpectRaised(run, "RecursionError");
  EXPECT_THAT(raised.frames(), SizeIs(64));
  EXPECT_GT(raised.omitted_frame_count(), 800);
  EXPECT_EQ(raised.frames(0).function(), "<module>");
  EXPECT_EQ(raised.frames(63).function(), "f");
  EXPECT_THAT(raised.traceback(), HasSubstr("[Previous line repeated "));
}

TEST_F(ExceptionTest, DeepRecursionInCIsAnError) {
  ExpectRaised(Run("x = []\nfor i in range(200000): x = [x]\nrepr(x)"), "RecursionError");
}

TEST_F(ExceptionTest, UnprintableMessage) {
  const GuestRun run =
      Run("class E(Exception):\n  def __str__(self): raise RuntimeError('no')\nraise E");
  const v1::Exception raised = ExpectRaised(run, "E");
  EXPECT_EQ(raised.message(), "<unprintable E object>");
  EXPECT_THAT(run.error, HasSubstr("E: <exception str() failed>"));
}

TEST_F(ExceptionTest, MessageOfAHostileString) {
  const v1::Exception raised =
      ExpectRaised(Run("class S(str):\n  def __len__(self): raise OSError\n  def __getitem__(self, "
                       "i): raise OSError\n"
                       "  def encode(self, *a): raise OSError\n"
                       "class E(Exception):\n  def __str__(self): return S('text')\nraise E"),
                   "E");
  EXPECT_EQ(raised.message(), "text");
}

TEST_F(ExceptionTest, HostileAttributesAreReadPast) {
  const v1::Exception raised = ExpectRaised(Run("def bad(self): raise OSError\n"
                                                "class E(Exception):\n"
                                                "  __cause__ = __context__ = __traceback__ = "
                                                "__notes__ = __suppress_context__ = property(bad)\n"
                                                "  __class__ = property(bad)\n"
                                                "raise E('still here')"),
                                            "E");
  EXPECT_EQ(raised.message(), "still here");
  EXPECT_THAT(raised.frames(), SizeIs(1));
  EXPECT_THAT(raised.traceback(), HasSubstr("E: still here"));
}

TEST_F(ExceptionTest, LongTextsAreCutInTheMiddle) {
  const GuestRun run = Run("raise ValueError('a' * 50_000_000 + 'z')");
  const v1::Exception raised = ExpectRaised(run, "ValueError");
  EXPECT_LE(raised.message().size(), 16u << 10);
  EXPECT_THAT(raised.message(), StartsWith("aaaa"));
  EXPECT_EQ(raised.message().back(), 'z');
  EXPECT_LE(raised.traceback().size(), 16u << 10);
  EXPECT_LT(run.error.size(), 80u << 10) << "or it would be an output limit's end";
}

TEST_F(ExceptionTest, LoneSurrogatesDoNotBreakTheFrame) {
  const v1::Exception raised =
      ExpectRaised(Run("raise ValueError('\\ud800 and \\0')"), "ValueError");
  EXPECT_EQ(raised.message(), std::string("\\ud800 and \0", 12));
}

TEST_F(ExceptionTest, HookIsCalledAsPythonDoes) {
  const GuestRun run =
      Run("import sys\n"
          "def hook(t, e, tb): print('hook', t.__name__, e, tb.tb_lineno, file=sys.stderr)\n"
          "sys.excepthook = hook\n"
          "raise ValueError('x')\n");
  ExpectRaised(run, "ValueError");
  EXPECT_EQ(run.error, "hook ValueError x 4\n");
}

TEST_F(ExceptionTest, HookThatRaises) {
  const GuestRun run =
      Run("import sys\ndef hook(*a): raise RuntimeError('bad hook')\nsys.excepthook = hook\nraise "
          "ValueError('x')");
  ExpectRaised(run, "ValueError");
  EXPECT_EQ(run.error,
            "Error in sys.excepthook:\n"
            "Traceback (most recent call last):\n"
            "  File \"main.py\", line 2, in hook\n"
            "    def hook(*a): raise RuntimeError('bad hook')\n"
            "                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
            "RuntimeError: bad hook\n"
            "\n"
            "Original exception was:\n"
            "Traceback (most recent call last):\n"
            "  File \"main.py\", line 4, in <module>\n"
            "    raise ValueError('x')\n"
            "ValueError: x\n");
}

TEST_F(ExceptionTest, HookThatExits) {
  ExpectExited(Run("import sys\nsys.excepthook = lambda *a: sys.exit(9)\nraise ValueError"), 9);
}

TEST_F(ExceptionTest, ReplacedBuiltinsAndTraceback) {
  const GuestRun run =
      Run("import builtins, traceback, linecache\n"
          "traceback.TracebackException.format = None\n"
          "linecache.getline = linecache.getlines = None\n"
          "for name in ('len', 'str', 'repr', 'isinstance', 'issubclass', 'type', 'getattr', "
          "'print', 'id'):\n"
          "    setattr(builtins, name, None)\n"
          "1 / 0\n");
  const v1::Exception raised = ExpectRaised(run, "ZeroDivisionError");
  EXPECT_EQ(raised.message(), "division by zero");
  EXPECT_THAT(raised.frames(), SizeIs(1));
  EXPECT_THAT(raised.traceback(), HasSubstr("ZeroDivisionError: division by zero\n"));
}

TEST_F(ExceptionTest, TraceFunctionDoesNotSeeTheReport) {
  const v1::Exception raised = ExpectRaised(
      Run("import sys\ndef trace(*a): raise KeyError('trace')\nclass E(Exception):\n  pass\n"
          "try: raise E('x')\nexcept E as e: keep = "
          "e\nsys.setrecursionlimit(60)\nsys.settrace(trace)\nraise keep"),
      "E");
  EXPECT_EQ(raised.message(), "x");
}

TEST_F(ExceptionTest, MemoryIsGone) {
  internal::v1::RunProgram request;
  request.mutable_limits()->set_data_bytes(int64_t{160} << 20);
  request.mutable_program()->set_code("hoard = []\nwhile True: hoard.append([0] * 1000)");
  const v1::Exception raised = ExpectRaised(harness_->Run(request), "MemoryError");
  EXPECT_THAT(raised.frames(), SizeIs(1));
  EXPECT_THAT(raised.traceback(), HasSubstr("MemoryError"));
}

}  // namespace
}  // namespace cloister::sandbox
