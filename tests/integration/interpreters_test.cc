// What further interpreters of every profile have in common, with real sandboxes.

#include <signal.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/integration/interpreters_fixture.h"

namespace cloister::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

INSTANTIATE_TEST_SUITE_P(Profiles, InterpretersTest,
                         ::testing::Values(InterpreterProfile::kProcess,
                                           InterpreterProfile::kIsolated,
                                           InterpreterProfile::kSharedGil));

TEST_P(InterpretersTest, KeepsStateOfItsOwnAndSharesFiles) {
  Open();
  Interpreter& one = AddOfParam();
  Interpreter& two = AddOfParam();
  Run(*sandbox_, "x = 'main'; open('f', 'w').write('by main')");
  Run(one, "x = 'one'");
  Run(two, "x = 'two'");
  EXPECT_EQ(Value(*sandbox_, "x"), "'main'");
  EXPECT_EQ(Value(one, "x, open('/workspace/f').read()"), "('one', 'by main')");
  EXPECT_EQ(Value(two, "x"), "'two'");
}

TEST_P(InterpretersTest, GetsEnvironmentAndImports) {
  Open();
  InterpreterSpec spec = {.profile = GetParam(), .environment = {{"A", "1"}}, .imports = {"json"}};
  Session session;
  CreatedInterpreter created = Create(std::move(spec), &session);
  ASSERT_TRUE(created.status.ok()) << created.status;
  EXPECT_EQ(Value(*created.interpreter, "import os, sys; os.environ['A'], 'json' in sys.modules"),
            "('1', True)");
  EXPECT_FALSE(session.opened.has_value());
}

TEST_P(InterpretersTest, SaysWhichImportFailed) {
  Open();
  Session session;
  CreatedInterpreter created =
      Create({.profile = GetParam(), .imports = {"json", "nope"}}, &session);
  EXPECT_EQ(created.status.code(), absl::StatusCode::kFailedPrecondition) << created.status;
  ASSERT_TRUE(created.import_failed.has_value());
  EXPECT_EQ(created.import_failed->module(), "nope");
  EXPECT_EQ(created.import_failed->message(), "ModuleNotFoundError: No module named 'nope'");
  EXPECT_FALSE(created.import_failed->is_refused_by_profile());
  EXPECT_EQ(Value(*sandbox_, "1"), "1");
}

TEST_P(InterpretersTest, WritesToItsOwnOutput) {
  Open();
  Interpreter& one = AddOfParam();
  Interpreter& two = AddOfParam();
  Cell cell_one, cell_two;
  Begin(one, "import sys; print('one'); print('e1', file=sys.stderr)", &cell_one);
  Begin(two, "print('two' * 3)", &cell_two);
  EXPECT_EQ(Describe(AwaitEnd(cell_one)), "SUCCEEDED");
  EXPECT_EQ(Describe(AwaitEnd(cell_two)), "SUCCEEDED");
  EXPECT_THAT(cell_one.output, HasSubstr("one\n"));
  EXPECT_THAT(cell_one.output, HasSubstr("e1\n"));
  EXPECT_EQ(cell_two.output, "twotwotwo\n");
}

TEST_P(InterpretersTest, IsInterruptedWithoutLosingItsState) {
  Open();
  Interpreter& one = AddOfParam();
  Interpreter& two = AddOfParam();
  Run(one, "x = 1");
  Cell cell, beside;
  Begin(one, "print('in', flush=True)\nwhile True: pass", &cell);
  ASSERT_TRUE(Await([&] { return cell.output == "in\n"; }));
  Begin(two, "import time; time.sleep(0.5); 'undisturbed'", &beside);
  one.Interrupt(absl::Seconds(5));
  const Outcome outcome = AwaitEnd(cell);
  EXPECT_EQ(Describe(outcome), "INTERRUPTED") << outcome.ShortDebugString();
  EXPECT_TRUE(outcome.state_preserved());
  EXPECT_EQ(Value(one, "x"), "1");
  EXPECT_EQ(AwaitEnd(beside).value().text(), "'undisturbed'");
}

TEST_P(InterpretersTest, HasLimitsForEachCell) {
  Open();
  Interpreter& one = AddOfParam();
  Limits limits = limits_;
  limits.wall_time = absl::Milliseconds(200);
  EXPECT_EQ(Describe(Run(one, "import time; time.sleep(30)", &limits)), "WALL_TIMEOUT");
  limits = limits_;
  limits.cpu_time = absl::Milliseconds(200);
  EXPECT_EQ(Describe(Run(one, "while True: pass", &limits)), "CPU_TIMEOUT");
  limits = limits_;
  limits.output_bytes = 1000;
  EXPECT_EQ(Describe(Run(one, "while True: print('x' * 100)", &limits)), "OUTPUT_LIMIT");
  EXPECT_EQ(Value(one, "'alive'"), "'alive'");
}

TEST_P(InterpretersTest, IsBilledForItsOwnProcessorTime) {
  Open();
  Interpreter& one = AddOfParam();
  Interpreter& two = AddOfParam();
  Cell busy;
  Begin(one, "import time\nend = time.monotonic() + 1\nwhile time.monotonic() < end: pass", &busy);
  Cell idle;
  Begin(two, "import time; time.sleep(0.8)", &idle);
  const auto cpu = [](const Outcome& outcome) {
    return outcome.usage().cpu_time().seconds() * 1000 +
           outcome.usage().cpu_time().nanos() / 1'000'000;
  };
  EXPECT_LT(cpu(AwaitEnd(idle)), 100);
  EXPECT_GT(cpu(AwaitEnd(busy)), 100);
}

TEST_P(InterpretersTest, EndsInGoodOrder) {
  Open();
  Interpreter& one = AddOfParam();
  Cell cell;
  Begin(one, "print('in', flush=True)\nwhile True: pass", &cell);
  ASSERT_TRUE(Await([&] { return cell.output == "in\n"; }));
  EXPECT_TRUE(End(one).ok());
  ASSERT_TRUE(cell.outcome.has_value());
  EXPECT_EQ(Describe(*cell.outcome), "INTERRUPTED");
  EXPECT_FALSE(sessions_.front().lost.has_value());
  EXPECT_EQ(Value(*sandbox_, "1"), "1");
}

TEST_P(InterpretersTest, IsKilledWhereItDoesNotEnd) {
  Open();
  Interpreter& one = AddOfParam();
  Cell cell;
  // A loop in C, in which no interrupt is seen.
  Begin(one, "print('in', flush=True); sum(range(10**13))", &cell);
  ASSERT_TRUE(Await([&] { return cell.output == "in\n"; }));
  EXPECT_EQ(End(one).code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(cell.outcome.has_value());
  EXPECT_EQ(Describe(*cell.outcome), "INTERRUPTED");
  EXPECT_EQ(Value(*sandbox_, "1"), "1");
}

TEST_P(InterpretersTest, DeathOfItsProcessLeavesMain) {
  Open();
  Interpreter& one = AddOfParam();
  Run(*sandbox_, "x = 1");
  const Outcome outcome = Run(one, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)");
  EXPECT_EQ(Describe(outcome), "SIGNALED 9") << outcome.ShortDebugString();
  EXPECT_FALSE(outcome.state_preserved());
  EXPECT_EQ(Value(*sandbox_, "x"), "1");
  EXPECT_EQ(Value(AddOfParam(), "2"), "2");
}

TEST_P(InterpretersTest, EndsWithMain) {
  Open();
  Interpreter& one = AddOfParam();
  (void)AddOfParam();
  Cell cell;
  Begin(one, "print('in', flush=True)\nimport time; time.sleep(60)", &cell);
  ASSERT_TRUE(Await([&] { return cell.output == "in\n"; }));
  EXPECT_EQ(Describe(Run(*sandbox_, "import os; os._exit(3)")), "EXITED 3");
  const Outcome outcome = AwaitEnd(cell);
  EXPECT_EQ(Describe(outcome), "INTERPRETER_LOST");
  EXPECT_THAT(outcome.detail(), StartsWith("its sandbox was lost: "));
  EXPECT_TRUE(AwaitLoss(sessions_.back()));
}

TEST_P(InterpretersTest, CannotBeReachedByMain) {
  Open();
  Interpreter& one = AddOfParam();
  Run(one, "import os; pid = os.getpid()");
  const std::string pid = Value(one, "pid");
  EXPECT_EQ(Value(*sandbox_, absl::StrCat("import os, signal\n"
                                          "def attempt(function, *arguments):\n"
                                          "    try: function(*arguments)\n"
                                          "    except OSError as error: return error.errno\n"
                                          "    return 'REACHED'\n"
                                          "[attempt(os.kill, ", pid, ", s) for s in (0, 2, 9)] + "
                                          "[attempt(open, f'/proc/", pid, "/{f}', 'rb') "
                                          "for f in ('mem', 'environ', 'maps')] + "
                                          "[attempt(os.listdir, '/proc/", pid, "/fd')]")),
            "[1, 1, 1, 2, 2, 2, 2]")
      << "no signal reaches it, and /proc does not show it";
  EXPECT_EQ(Value(one, "'alive'"), "'alive'");
}

TEST_P(InterpretersTest, GoneSpawnerLeavesNothing) {
  Open();
  Interpreter& one = AddOfParam();
  (void)Run(one, "1");
  ASSERT_EQ(kill(process_->pid(), SIGKILL), 0);
  EXPECT_TRUE(AwaitLoss(main_));
  EXPECT_TRUE(AwaitLoss(sessions_.front()));
}

}  // namespace
}  // namespace cloister::testing
