// Further interpreters of live sandboxes with a real spawner, zygote and Python, seen from the host's
// library: no server, so that each step can be looked at.

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sandbox/host/asio_loop.h"
#include "sandbox/host/spawner_client.h"
#include "sandbox/host/spawner_process.h"
#include "tests/integration/probe.h"

namespace cloister::testing {
namespace {

namespace fs = std::filesystem;
using sandbox::CellRunner;
using sandbox::CreatedInterpreter;
using sandbox::Interpreter;
using sandbox::InterpreterProfile;
using sandbox::InterpreterSpec;
using sandbox::Limits;
using sandbox::Sandbox;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using v1::Outcome;

class Session final : public sandbox::SessionObserver {
 public:
  void OnOpened(const absl::Status& status) override { opened = status; }
  void OnLost(const Outcome& how) override { lost = how; }
  void OnLateOutput(int64_t, v1::LateOutput) override {}

  std::optional<absl::Status> opened;
  std::optional<Outcome> lost;
};

class Cell final : public sandbox::ExecutionObserver {
 public:
  void OnOutput(sandbox::OutputStream, std::string_view bytes) override { output.append(bytes); }
  void OnFinished(sandbox::ExecutionEnd end) override { outcome = std::move(end.outcome); }

  std::string output;
  std::optional<Outcome> outcome;
};

class InterpretersTest : public ::testing::TestWithParam<InterpreterProfile> {
 protected:
  void SetUp() override { Start(CLOISTER_SPAWNER_BINARY, {}); }

  void TearDown() override {
    interpreters_.clear();
    sandbox_.reset();
    client_.reset();
  }

  void Start(const std::string& binary, const std::vector<std::string>& arguments) {
    auto process = sandbox::SpawnerProcess::Start(binary, arguments);
    ASSERT_TRUE(process.ok()) << process.status();
    process_.emplace(*std::move(process));
    auto client = sandbox::SpawnerClient::Connect(&loop_, process_->TakeSocket(), absl::Seconds(10));
    ASSERT_TRUE(client.ok()) << client.status();
    client_ = *std::move(client);
  }

  // Lets the loop run until `done`; false after twenty seconds.
  bool Await(const std::function<bool()>& done) {
    bool late = false;
    const auto deadline = loop_.CallAfter(absl::Seconds(20), [&] {
      late = true;
      loop_.Stop();
    });
    std::function<void()> look = [&] {
      if (done() || late) return loop_.Stop();
      loop_.CallAfter(absl::Milliseconds(1), look);
    };
    loop_.Post(look);
    loop_.Run();
    loop_.Cancel(deadline);
    return done();
  }

  void Open(const std::string& image = "python3.14", bool forkable = false) {
    internal::v1::ZygoteSpec spec;
    spec.set_template_name("test");
    spec.set_image_root(absl::StrCat(CLOISTER_IMAGES, "/", image, "/rootfs"));
    const std::string guest = CLOISTER_GUEST_BINARY;
    spec.set_guest_binary(guest.substr(0, guest.rfind("python")) + image);
    spec.mutable_default_limits()->set_memory_bytes(limits_.memory_bytes);
    spec.mutable_default_limits()->set_process_count(limits_.process_count);
    spec.set_default_workspace_bytes(limits_.workspace_bytes);
    spec.set_forkable(forkable);
    std::optional<absl::StatusOr<sandbox::ZygoteInfo>> zygote;
    client_->StartZygote(spec, [&](auto info) { zygote = std::move(info); });
    ASSERT_TRUE(Await([&] { return zygote.has_value(); }));
    ASSERT_TRUE(zygote->ok()) << zygote->status();
    client_->CreateSandbox((*zygote)->zygote_id, [&](auto made) {
      ASSERT_TRUE(made.ok()) << made.status();
      sandbox_ = *std::move(made);
    });
    ASSERT_TRUE(Await([&] { return sandbox_ != nullptr; }));
    sandbox::SessionSpec session;
    session.limits = limits_;
    sandbox_->OpenSession(std::move(session), &main_);
    ASSERT_TRUE(Await([&] { return main_.opened.has_value(); }));
    ASSERT_TRUE(main_.opened->ok()) << *main_.opened;
  }

  CreatedInterpreter Create(InterpreterSpec spec, Session* session) {
    std::optional<CreatedInterpreter> created;
    sandbox_->CreateInterpreter(std::move(spec), session,
                                [&](CreatedInterpreter made) { created = std::move(made); });
    EXPECT_TRUE(Await([&] { return created.has_value(); }));
    return *std::move(created);
  }

  Interpreter& Add(InterpreterProfile profile = InterpreterProfile::kProcess) {
    CreatedInterpreter created = Create({.profile = profile}, &sessions_.emplace_back());
    EXPECT_TRUE(created.status.ok()) << created.status;
    interpreters_.push_back(std::move(created.interpreter));
    return *interpreters_.back();
  }
  Interpreter& AddOfParam() { return Add(GetParam()); }

  void Begin(CellRunner& runner, const std::string& code, Cell* cell, const Limits* limits = nullptr) {
    v1::Program program;
    program.set_code(code);
    program.set_return_value(true);
    runner.RunCell({.number = ++cells_}, std::move(program), limits == nullptr ? limits_ : *limits,
                   cell);
  }
  Outcome AwaitEnd(const Cell& cell) {
    EXPECT_TRUE(Await([&] { return cell.outcome.has_value(); }));
    return cell.outcome.value_or(Outcome());
  }
  Outcome Run(CellRunner& runner, const std::string& code, const Limits* limits = nullptr) {
    Cell cell;
    Begin(runner, code, &cell, limits);
    return AwaitEnd(cell);
  }
  std::string Value(CellRunner& runner, const std::string& code) {
    const Outcome outcome = Run(runner, code);
    EXPECT_EQ(Describe(outcome), "SUCCEEDED") << outcome.ShortDebugString();
    return outcome.value().text();
  }
  absl::Status End(Interpreter& interpreter) {
    std::optional<absl::Status> ended;
    interpreter.End([&](const absl::Status& status) { ended = status; });
    EXPECT_TRUE(Await([&] { return ended.has_value(); }));
    return ended.value_or(absl::UnknownError("no answer"));
  }
  bool AwaitLoss(const Session& session) {
    return Await([&] { return session.lost.has_value(); });
  }

  Limits limits_;
  std::optional<sandbox::SpawnerProcess> process_;
  sandbox::AsioLoop loop_;
  std::unique_ptr<sandbox::SpawnerClient> client_;
  std::unique_ptr<Sandbox> sandbox_;
  Session main_;
  std::list<Session> sessions_;
  std::vector<std::unique_ptr<Interpreter>> interpreters_;
  int64_t cells_ = 0;
};

using ProcessInterpretersTest = InterpretersTest;

// ---- every profile ------------------------------------------------------------------------------

INSTANTIATE_TEST_SUITE_P(Profiles, InterpretersTest,
                         ::testing::Values(InterpreterProfile::kProcess
                                           ));

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
  Begin(one,
        "print('in', flush=True)\n"
        "while True:\n"
        "    try:\n"
        "        while True: pass\n"
        "    except BaseException: pass\n",
        &cell);
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
            "[1, 1, 1, 13, 13, 13, 13]");
  EXPECT_EQ(Value(one, "'alive'"), "'alive'");
}

TEST_P(InterpretersTest, GoneSpawnerLeavesNothing) {
  Open();
  Interpreter& one = AddOfParam();
  (void)Run(one, "1");
  process_.reset();  // ends the spawner
  EXPECT_TRUE(AwaitLoss(main_));
  EXPECT_TRUE(AwaitLoss(sessions_.front()));
}

// ---- processes ----------------------------------------------------------------------------------

TEST_F(ProcessInterpretersTest, RunsOutOfMemoryAlone) {
  Open();
  Interpreter& one = Add();
  Run(*sandbox_, "x = 1");
  const Outcome outcome =
      Run(one, "held = []\nwhile True: held.append(bytearray(b'x') * (8 << 20))");
  // An allocation that fails raises first where the limit on the process comes before the cgroup's.
  EXPECT_THAT(Describe(outcome), ::testing::AnyOf("MEMORY_LIMIT", "RAISED MemoryError"));
  EXPECT_EQ(Value(*sandbox_, "x"), "1");
}

TEST_F(ProcessInterpretersTest, StandsInTheWayOfAForkWhileItLives) {
  Open("python3.14", /*forkable=*/true);
  Interpreter& one = Add();
  absl::Status status;
  std::vector<std::unique_ptr<Sandbox>> copies;
  const auto fork = [&] {
    bool done = false;
    sandbox::ForkSpec spec;
    spec.limits = limits_;
    sandbox_->Fork(spec, [&](auto forks) {
      status = forks.status();
      if (forks.ok()) copies = *std::move(forks);
      done = true;
    });
    return Await([&] { return done; });
  };
  ASSERT_TRUE(fork());
  EXPECT_EQ(status, absl::FailedPreconditionError("a process interpreter is alive"));
  EXPECT_TRUE(End(one).ok());
  interpreters_.clear();
  Run(*sandbox_, "x = 5");
  ASSERT_TRUE(fork());
  ASSERT_TRUE(status.ok()) << status;
  // A copy can have some of its own.
  Session observer, session;
  copies[0]->ResumeSession(&observer);
  EXPECT_EQ(Value(*copies[0], "x"), "5");
  sandbox_ = std::move(copies[0]);
  CreatedInterpreter created = Create({.profile = InterpreterProfile::kProcess}, &session);
  ASSERT_TRUE(created.status.ok()) << created.status;
  EXPECT_EQ(Value(*created.interpreter, "2 + 2"), "4");
}

}  // namespace
}  // namespace cloister::testing
