// What a program finds itself to be: module __main__, its arguments, its value.

#include "tests/unit/sandbox_guest/guest_test.h"

namespace cloister::sandbox {
namespace {

using testing::HasSubstr;

using MainModuleTest = GuestTest;

TEST_F(MainModuleTest, IsMain) {
  const GuestRun run = Run(
      "import sys\n"
      "if __name__ == '__main__': print('main')\n"
      "print(__file__, __spec__, sys.argv, sys.path[0], sys.modules['__main__'].__dict__ is "
      "globals())\n"
      "print(sorted(k for k in globals() if not k.startswith('__')))\n"
      "def depth():\n  f, n = sys._getframe(), 0\n  while f: f, n = f.f_back, n + 1\n  return n\n"
      "print(depth())\n");
  ExpectSucceeded(run);
  EXPECT_EQ(run.output, "main\nmain.py None ['main.py'] /workspace True\n['sys']\n2\n");
}

TEST_F(MainModuleTest, ArgumentsAndFileName) {
  v1::Program program;
  program.set_code("import sys\nprint(sys.argv, __file__)\n1 / 0");
  program.set_file_name("tools/job.py");
  program.add_args("--n=3");
  program.add_args("\xc3\xa9");
  const GuestRun run = Run(program);
  EXPECT_EQ(run.output, "['tools/job.py', '--n=3', '\xc3\xa9'] tools/job.py\n");
  EXPECT_EQ(ExpectRaised(run, "ZeroDivisionError").frames(0).file(), "tools/job.py");
}

TEST_F(MainModuleTest, ClassesCanBePickled) {
  const GuestRun run =
      Run("import pickle\nclass Point:\n  def __init__(self, x): self.x = x\n"
          "print(pickle.loads(pickle.dumps(Point(3))).x)\n");
  ExpectSucceeded(run);
  EXPECT_EQ(run.output, "3\n");
}

TEST_F(MainModuleTest, SourceCanBeInspected) {
  const GuestRun run =
      Run("import inspect\ndef f():\n    return 1\nclass C:\n    x = 1\n"
          "print(inspect.getsource(f), inspect.getsource(C), end='')\n");
  ExpectSucceeded(run);
  EXPECT_EQ(run.output, "def f():\n    return 1\n class C:\n    x = 1\n");
}

TEST_F(MainModuleTest, ModulesOfTheWorkspaceAreImported) {
  v1::Program program;
  program.set_code("import helper, package.inner\nprint(helper.x, package.inner.y)");
  auto add = [&](const char* path, const char* content) {
    program.add_files()->set_path(path);
    program.mutable_files()->rbegin()->set_content(content);
  };
  add("helper.py", "x = 1");
  add("package/__init__.py", "");
  add("package/inner.py", "y = 2");
  const GuestRun run = Run(program);
  ExpectSucceeded(run);
  EXPECT_EQ(run.output, "1 2\n");
}

TEST_F(MainModuleTest, FutureImportsAreTheProgramsOwn) {
  EXPECT_EQ(Run("from __future__ import annotations\ndef f(x: no): pass\nprint(f.__annotations__)")
                .output,
            "{'x': 'no'}\n");
}

TEST_F(MainModuleTest, ValueOfTheLastExpression) {
  const auto value_of = [this](const std::string& code) {
    v1::Program program;
    program.set_code(code);
    program.set_return_value(true);
    return Run(program);
  };
  GuestRun run = value_of("x = 20\nx + 1\n");
  ExpectSucceeded(run);
  EXPECT_EQ(run.finished->value().text(), "21");
  EXPECT_EQ(run.finished->value().type_name(), "int");
  EXPECT_EQ(value_of("import decimal\ndecimal.Decimal('1.5')").finished->value().type_name(),
            "decimal.Decimal");
  EXPECT_EQ(value_of("'a doc string'").finished->value().text(), "'a doc string'");
  EXPECT_FALSE(value_of("x = 1").finished->has_value());
  EXPECT_FALSE(value_of("print('no value')").finished->has_value());
  EXPECT_FALSE(value_of("").finished->has_value());
  EXPECT_FALSE(value_of("if True:\n  5").finished->has_value()) << "not an expression statement";
  EXPECT_FALSE(Run("5").finished->has_value()) << "nobody asked";
  EXPECT_EQ(value_of("from __future__ import annotations\n"
                     "(lambda f: 0) and [exec('def f(x: no): pass'), 1][1]")
                .finished->value()
                .text(),
            "1");
}

TEST_F(MainModuleTest, ValueWhoseTextIsLong) {
  v1::Program program;
  program.set_code("'x' * 3_000_000");
  program.set_return_value(true);
  const GuestRun run = Run(program);
  ExpectSucceeded(run);
  EXPECT_EQ(run.finished->value().text().size(), 1u << 20);
  EXPECT_TRUE(run.finished->value().truncated());
}

TEST_F(MainModuleTest, ValueWhoseTextRaises) {
  v1::Program program;
  program.set_code("class V:\n    def __repr__(self): raise KeyError('no text')\nV()");
  program.set_return_value(true);
  const GuestRun run = Run(program);
  const v1::Exception raised = ExpectRaised(run, "KeyError");
  EXPECT_EQ(raised.frames_size(), 1);
  EXPECT_FALSE(run.finished->has_value());
}

TEST_F(MainModuleTest, LastExpressionThatRaisesHasItsLine) {
  v1::Program program;
  program.set_code("x = 0\n\n1 / x");
  program.set_return_value(true);
  const v1::Exception raised = ExpectRaised(Run(program), "ZeroDivisionError");
  ASSERT_EQ(raised.frames_size(), 1);
  EXPECT_EQ(raised.frames(0).line(), 3);
  EXPECT_EQ(raised.frames(0).function(), "<module>");
  EXPECT_EQ(raised.frames(0).source_line(), "1 / x");
}

// They would be beyond accounts and interrupts, and forks of their process crash.
TEST_F(MainModuleTest, ProgramsMakeNoInterpretersThemselves) {
  for (const std::string module :
       {"_interpreters", "_interpqueues", "_interpchannels", "_testcapi", "_testinternalcapi"}) {
    const v1::Exception exception = ExpectRaised(Run("import " + module), "ImportError");
    EXPECT_THAT(exception.message(), testing::HasSubstr("CreateInterpreter")) << module;
  }
  ExpectSucceeded(
      Run("import sys\n"
          "try: import concurrent.interpreters\n"
          "except ImportError as e:\n"
          "  assert sys.version_info < (3, 14) or 'CreateInterpreter' in str(e), e\n"
          "import concurrent.futures\n"
          "concurrent.futures.ThreadPoolExecutor(1).submit(int).result()"));
}

}  // namespace
}  // namespace cloister::sandbox
