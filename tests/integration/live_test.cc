// Live sandboxes against a real server: state that stays, turns in order, loss, restart, expiry,
// deletion, limits of cells, and that nothing is left behind.

#include "tests/integration/live_test.h"

#include <future>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"

namespace cloister::testing {
namespace {

using ::testing::HasSubstr;
using v1::Outcome;

class LiveSandboxTest : public LiveTest {};

TEST_F(LiveSandboxTest, StateFilesAndEnvironmentStayBetweenExecutions) {
  v1::CreateSandboxRequest request;
  (*request.mutable_environment())["GREETING"] = "hello";
  v1::File& file = *request.add_files();
  file.set_path("in/data.txt");
  file.set_content("42");
  const std::string name = Create(request).name();
  EXPECT_EQ(Value(name, "import os; os.environ['GREETING']"), "'hello'");
  EXPECT_EQ(Value(name, "x = int(open('/workspace/in/data.txt').read()); x"), "42");
  EXPECT_EQ(Value(name, "def f(): return x + 1\nopen('out', 'w').write('kept')"), "4");
  EXPECT_EQ(Value(name + "/interpreters/main", "f(), open('out').read()"), "(43, 'kept')");
  const v1::RunCodeResponse fourth = Cell(name, "1");
  EXPECT_EQ(fourth.execution_count(), 5);
  EXPECT_TRUE(fourth.outcome().state_preserved());
}

TEST_F(LiveSandboxTest, AnExecutionHasItsOwnArgumentsAndInput) {
  const std::string name = Create().name();
  v1::RunCodeRequest request = CellRequest(name, "import sys; sys.argv, sys.stdin.read()");
  request.mutable_program()->set_file_name("tool.py");
  request.mutable_program()->add_args("--fast");
  request.mutable_program()->set_stdin("given");
  EXPECT_EQ(Run(request).outcome().value().text(), "(['tool.py', '--fast'], 'given')");
  EXPECT_EQ(Value(name, "sys.stdin.read()"), "''");
}

TEST_F(LiveSandboxTest, SandboxesDoNotShareState) {
  const std::string one = Create().name();
  const std::string two = Create().name();
  EXPECT_NE(one, two);
  (void)Cell(one, "secret = 1");
  const v1::RunCodeResponse response = Cell(two, "secret");
  EXPECT_EQ(response.outcome().exception().type(), "NameError");
  EXPECT_EQ(Value(two, "import os; os.listdir('.')"), "[]");
}

TEST_F(LiveSandboxTest, ExceptionsShowCellsAndTheirLinesAndStateStays) {
  const std::string name = Create().name();
  (void)Cell(name, "def f():\n    return 1 / 0\n");
  const v1::RunCodeResponse response = Cell(name, "y = 1\nf()");
  ASSERT_EQ(response.outcome().kind(), Outcome::KIND_RAISED);
  EXPECT_TRUE(response.outcome().state_preserved());
  const v1::Exception& exception = response.outcome().exception();
  ASSERT_EQ(exception.frames_size(), 2) << exception.DebugString();
  EXPECT_NE(exception.frames(0).file(), exception.frames(1).file());
  EXPECT_EQ(exception.frames(0).source_line(), "f()");
  EXPECT_EQ(exception.frames(1).source_line(), "return 1 / 0");
  EXPECT_EQ(Value(name, "y"), "1");
}

TEST_F(LiveSandboxTest, ExitInACellIsReportedAndTheInterpreterGoesOn) {
  const std::string name = Create().name();
  (void)Cell(name, "x = 5");
  const v1::RunCodeResponse response = Cell(name, "import sys; sys.exit(3)");
  EXPECT_EQ(response.outcome().kind(), Outcome::KIND_EXITED);
  EXPECT_EQ(response.outcome().exit_code(), 3);
  EXPECT_EQ(Value(name, "x"), "5");
}

TEST_F(LiveSandboxTest, TwoClientsAtOnceAreServedInTheirOrder) {
  const std::string name = Create().name();
  (void)Cell(name, "order = []");
  RunningCell first(server_->executions(), name,
                    "print('on', flush=True)\nimport time\ntime.sleep(0.3)\norder.append(1)");
  first.AwaitOutput("on");
  std::vector<std::future<Outcome>> others;
  for (int i = 2; i < 6; ++i) {
    RunningCell* cell =
        new RunningCell(server_->executions(), name, "order.append(" + std::to_string(i) + ")");
    others.push_back(std::async(std::launch::deferred, [cell] {
      const std::unique_ptr<RunningCell> owned(cell);
      return owned->AwaitEnd();
    }));
    // The next one is sent when this one waits for its turn.
    v1::Sandbox sandbox;
    do {
      ASSERT_TRUE(Get(name, &sandbox).ok());
    } while (sandbox.queued_execution_count() < i - 1);
  }
  EXPECT_EQ(first.AwaitEnd().kind(), Outcome::KIND_SUCCEEDED);
  for (auto& other : others) EXPECT_EQ(other.get().kind(), Outcome::KIND_SUCCEEDED);
  EXPECT_EQ(Value(name, "order"), "[1, 2, 3, 4, 5]");
}

TEST_F(LiveSandboxTest, PastItsWallTimeACellIsInterruptedAndStateStays) {
  const std::string name = Create().name();
  (void)Cell(name, "x = 7");
  v1::RunCodeRequest request = CellRequest(name, "while True: pass");
  *request.mutable_limits()->mutable_wall_time() = Milliseconds(200);
  const v1::RunCodeResponse response = Run(request);
  EXPECT_EQ(response.outcome().kind(), Outcome::KIND_WALL_TIMEOUT);
  EXPECT_EQ(response.outcome().exception().type(), "KeyboardInterrupt");
  EXPECT_TRUE(response.outcome().state_preserved());
  EXPECT_EQ(Value(name, "x"), "7");
}

TEST_F(LiveSandboxTest, PastItsProcessorTimeACellIsInterruptedAndTheNextHasItsOwn) {
  v1::CreateSandboxRequest create;
  *create.mutable_limits()->mutable_cpu_time() = Milliseconds(300);
  const std::string name = Create(create).name();
  for (int i = 0; i < 2; ++i) {
    const v1::RunCodeResponse response = Cell(name, "while True: pass");
    EXPECT_EQ(response.outcome().kind(), Outcome::KIND_CPU_TIMEOUT);
    EXPECT_TRUE(response.outcome().state_preserved());
  }
  EXPECT_EQ(Value(name, "1"), "1");
}

TEST_F(LiveSandboxTest, PastItsOutputACellIsInterruptedAndTheNextStartsClean) {
  v1::CreateSandboxRequest create;
  create.mutable_limits()->set_output_bytes(1000);
  const std::string name = Create(create).name();
  const v1::RunCodeResponse response = Cell(name, "while True: print('x' * 100)");
  EXPECT_EQ(response.outcome().kind(), Outcome::KIND_OUTPUT_LIMIT);
  EXPECT_TRUE(response.outcome().state_preserved());
  EXPECT_EQ(response.stdout().size(), 1000u);
  EXPECT_EQ(Cell(name, "print('clean')").stdout(), "clean\n");
}

TEST_F(LiveSandboxTest, ACellThatDoesNotAnswerIsKilledAndTheSandboxIsLost) {
  const std::string name = Create().name();
  v1::RunCodeRequest request = CellRequest(name, "sum(range(10**12))");
  *request.mutable_limits()->mutable_wall_time() = Milliseconds(100);
  const v1::RunCodeResponse response = Run(request);
  EXPECT_EQ(response.outcome().kind(), Outcome::KIND_WALL_TIMEOUT);
  EXPECT_FALSE(response.outcome().state_preserved());
  EXPECT_THAT(response.outcome().detail(), HasSubstr("not answered"));
  v1::RunCodeResponse refused;
  const grpc::Status status = TryRun(CellRequest(name, "1"), &refused);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Reason(status), "SANDBOX_LOST");
}

TEST_F(LiveSandboxTest, ACrashIsToldPreciselyAndARestartGoesOnUnderTheSameName) {
  v1::CreateSandboxRequest create;
  (*create.mutable_environment())["KEPT"] = "yes";
  const std::string name = Create(create).name();
  (void)Cell(name, "x = 1; open('f', 'w').close()");
  const v1::RunCodeResponse crash = Cell(name, "import ctypes; ctypes.string_at(0)");
  EXPECT_EQ(crash.outcome().kind(), Outcome::KIND_SIGNALED);
  EXPECT_EQ(crash.outcome().signal(), SIGSEGV);
  v1::Sandbox sandbox;
  ASSERT_TRUE(Get(name, &sandbox).ok());
  EXPECT_EQ(sandbox.state(), v1::Sandbox::STATE_LOST);
  EXPECT_EQ(sandbox.loss().cause(), Outcome::KIND_SIGNALED);
  EXPECT_EQ(sandbox.loss().execution(), crash.execution());

  const v1::Sandbox restarted = Restart(name);
  EXPECT_EQ(restarted.name(), name);
  EXPECT_EQ(restarted.state(), v1::Sandbox::STATE_READY);
  EXPECT_EQ(restarted.restart_count(), 1);
  EXPECT_EQ(Cell(name, "x").outcome().exception().type(), "NameError");
  EXPECT_EQ(Value(name, "import os; os.listdir('.'), os.environ['KEPT']"), "([], 'yes')");
}

struct LossCase {
  const char* name;
  const char* code;
  Outcome::Kind kind;
};
class LossTest : public LiveTest, public ::testing::WithParamInterface<LossCase> {};

TEST_P(LossTest, IsNoticedBetweenExecutionsToo) {
  v1::CreateSandboxRequest create;
  create.mutable_limits()->set_memory_bytes(64 << 20);
  const std::string name = Create(create).name();
  // Not before the cell's end has been told.
  const std::string code = std::string("import os, signal, threading, time, ctypes\n") +
                           "def later():\n  time.sleep(0.2)\n  " + GetParam().code +
                           "\nthreading.Thread(target=later, daemon=True).start()";
  EXPECT_EQ(Cell(name, code).outcome().kind(), Outcome::KIND_SUCCEEDED);
  v1::Sandbox sandbox;
  ASSERT_TRUE(AwaitState(name, v1::Sandbox::STATE_LOST, &sandbox)) << sandbox.DebugString();
  EXPECT_EQ(sandbox.loss().cause(), GetParam().kind) << sandbox.loss().DebugString();
  EXPECT_EQ(sandbox.loss().execution(), "");
}

INSTANTIATE_TEST_SUITE_P(
    All, LossTest,
    ::testing::Values(
        LossCase{"Exit", "os._exit(7)", Outcome::KIND_EXITED},
        LossCase{"Crash", "ctypes.string_at(0)", Outcome::KIND_SIGNALED},
        LossCase{"Killed", "os.kill(os.getpid(), signal.SIGKILL)", Outcome::KIND_SIGNALED},
        LossCase{"Memory", "keep = [bytearray(b'x' * (1 << 20)) for _ in range(1000)]",
                 Outcome::KIND_MEMORY_LIMIT},
        LossCase{"Garbage", "os.write(3, b'garbage' * 100)", Outcome::KIND_POLICY_VIOLATION},
        LossCase{"Policy", "ctypes.CDLL(None).syscall(101, 0, 0, 0, 0)",
                 Outcome::KIND_POLICY_VIOLATION}),
    [](const auto& info) { return info.param.name; });

TEST_F(LiveSandboxTest, WhatCellsLeaveBehindHasNoMoreProcessorTimeThanOne) {
  v1::CreateSandboxRequest create;
  *create.mutable_limits()->mutable_cpu_time() = Milliseconds(400);
  const std::string busy = Create(create).name();
  const std::string quiet = Create(create).name();
  (void)Cell(busy,
             "import threading\n"
             "def burn():\n  while True: pass\n"
             "threading.Thread(target=burn, daemon=True).start()");
  (void)Cell(quiet,
             "import threading, time\n"
             "threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()");
  v1::Sandbox sandbox;
  ASSERT_TRUE(AwaitState(busy, v1::Sandbox::STATE_LOST, &sandbox)) << sandbox.DebugString();
  EXPECT_EQ(sandbox.loss().cause(), Outcome::KIND_CPU_TIMEOUT);
  EXPECT_THAT(sandbox.loss().detail(), HasSubstr("left behind"));
  EXPECT_EQ(Value(quiet, "1"), "1");
}

TEST_F(LiveSandboxTest, ExpiresAfterItsTtlAndWhenIdle) {
  v1::CreateSandboxRequest short_lived;
  *short_lived.mutable_ttl() = Milliseconds(300);
  const std::string one = Create(short_lived).name();
  v1::CreateSandboxRequest idle;
  *idle.mutable_idle_timeout() = Milliseconds(300);
  const std::string two = Create(idle).name();
  for (const auto& [name, cause] : {std::pair(one, "ttl"), std::pair(two, "idle_timeout")}) {
    v1::Sandbox sandbox;
    grpc::Status status;
    while ((status = Get(name, &sandbox)).ok()) {
    }
    EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(Reason(status), "SANDBOX_EXPIRED");
    EXPECT_THAT(status.error_message(), HasSubstr(cause));
    v1::RunCodeResponse response;
    EXPECT_EQ(Reason(TryRun(CellRequest(name, "1"), &response)), "SANDBOX_EXPIRED");
  }
}

TEST_F(LiveSandboxTest, DeletingDuringAnExecutionKillsIt) {
  const std::string name = Create().name();
  RunningCell cell(server_->executions(), name, "print('on')\nwhile True: pass");
  cell.AwaitOutput("on");
  ASSERT_TRUE(Delete(name).ok());
  const Outcome outcome = cell.AwaitEnd();
  EXPECT_EQ(outcome.kind(), Outcome::KIND_INTERRUPTED);
  EXPECT_THAT(outcome.detail(), HasSubstr("deleted"));
  EXPECT_FALSE(outcome.state_preserved());
  EXPECT_EQ(Reason(Delete(name)), "SANDBOX_NOT_FOUND");
}

TEST_F(LiveSandboxTest, AClientThatVanishesInterruptsItsCellAndStateStays) {
  const std::string name = Create().name();
  (void)Cell(name, "x = 9");
  {
    RunningCell cell(server_->executions(), name, "print('on')\nwhile True: pass");
    cell.AwaitOutput("on");
    cell.Cancel();
  }
  v1::Sandbox sandbox;
  ASSERT_TRUE(AwaitState(name, v1::Sandbox::STATE_READY, &sandbox));
  EXPECT_EQ(Value(name, "x"), "9");
}

TEST_F(LiveSandboxTest, UnknownAndIllFormedNamesAreRefused) {
  v1::RunCodeResponse response;
  EXPECT_EQ(Reason(TryRun(CellRequest("sandboxes/nobody", "1"), &response)), "SANDBOX_NOT_FOUND");
  const std::string name = Create().name();
  EXPECT_EQ(Reason(TryRun(CellRequest(name + "/interpreters/x", "1"), &response)),
            "INTERPRETER_NOT_FOUND");
  EXPECT_EQ(Reason(TryRun(CellRequest(std::string(1000, 'x'), "1"), &response)), "FIELD_INVALID");
  v1::RunCodeRequest memory = CellRequest(name, "1");
  memory.mutable_limits()->set_memory_bytes(1 << 30);
  EXPECT_EQ(Reason(TryRun(memory, &response)), "FIELD_INVALID");
  v1::RunCodeRequest both = CellRequest(name, "1");
  both.set_template_("python3.14");
  EXPECT_EQ(Reason(TryRun(both, &response)), "FIELD_INVALID");
}

TEST_F(LiveSandboxTest, TheSameRequestIdGivesTheSameSandbox) {
  v1::CreateSandboxRequest request;
  request.set_request_id("same-" + std::to_string(getpid()));
  const std::string name = Create(request).name();
  EXPECT_EQ(Create(request).name(), name);
  request.mutable_ttl()->set_seconds(60);
  v1::Sandbox sandbox;
  EXPECT_EQ(Reason(TryCreate(request, &sandbox)), "REQUEST_ID_REUSED");
}

TEST_F(LiveSandboxTest, FilesThatDoNotFitAreNoSandbox) {
  v1::CreateSandboxRequest request;
  request.mutable_limits()->set_workspace_bytes(1 << 20);
  for (int i = 0; i < 200; ++i) {
    v1::File& file = *request.add_files();
    file.set_path("d" + std::to_string(i) + "/f");
    file.set_content(std::string(5000, 'x'));
  }
  v1::Sandbox sandbox;
  const grpc::Status status = TryCreate(request, &sandbox);
  EXPECT_EQ(Reason(status), "WORKSPACE_FULL") << status.error_message();
}

TEST_F(LiveSandboxTest, AddressesOfListAreStable) {
  for (int i = 0; i < 5; ++i) (void)Create();
  v1::ListSandboxesRequest request;
  request.set_page_size(2);
  std::vector<std::string> names;
  do {
    v1::ListSandboxesResponse response;
    ASSERT_TRUE(server_->sandboxes().ListSandboxes(Context().get(), request, &response).ok());
    EXPECT_LE(response.sandboxes_size(), 2);
    for (const v1::Sandbox& sandbox : response.sandboxes()) names.push_back(sandbox.name());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(names, made_);
}

}  // namespace
}  // namespace cloister::testing
