// Several interpreters in one live sandbox, against a real server: profiles, side by side, interrupts,
// loss, restart, deletion, names, and the choice of a profile.

#include <future>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "tests/integration/live_test.h"

namespace cloister::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using v1::Interpreter;
using v1::Outcome;

constexpr char kConfig[] = R"(
  templates { name: "python3.14" pool { minimum_ready: 1 } }
  templates { name: "python3.13" pool { minimum_ready: 1 } }
  templates { name: "data" image: "python3.14-data" pool { minimum_ready: 1 } }
  live_sandboxes { maximum_interpreters: 6 }
)";

class InterpreterTest : public LiveTest {
 protected:
  static void SetUpTestSuite() {
    server_ = new ServerProcess(kConfig);
    ASSERT_TRUE(server_->WaitUntilReady().ok()) << server_->Log();
  }

  std::string MakeSandbox(const std::string& template_name = "") {
    v1::CreateSandboxRequest request;
    request.set_template_(template_name);
    request.mutable_limits()->set_memory_bytes(512 << 20);
    return Create(request).name();
  }

  grpc::Status TryMake(const v1::CreateInterpreterRequest& request, Interpreter* made) {
    v1::CreateInterpreterResponse response;
    const grpc::Status status =
        server_->interpreters().CreateInterpreter(Context().get(), request, &response);
    *made = response.interpreter();
    return status;
  }
  Interpreter Make(const std::string& sandbox, Interpreter::Profile profile,
                   const std::vector<std::string>& imports = {}) {
    v1::CreateInterpreterRequest request;
    request.set_sandbox(sandbox);
    request.set_profile(profile);
    for (const std::string& name : imports) request.add_imports(name);
    Interpreter made;
    const grpc::Status status = TryMake(request, &made);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return made;
  }
  grpc::Status GetInterpreter(const std::string& name, Interpreter* found) {
    v1::GetInterpreterRequest request;
    request.set_name(name);
    v1::GetInterpreterResponse response;
    const grpc::Status status =
        server_->interpreters().GetInterpreter(Context().get(), request, &response);
    *found = response.interpreter();
    return status;
  }
  Interpreter Now(const std::string& name) {
    Interpreter found;
    const grpc::Status status = GetInterpreter(name, &found);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return found;
  }
  grpc::Status RestartInterpreter(const std::string& name) {
    v1::RestartInterpreterRequest request;
    request.set_name(name);
    v1::RestartInterpreterResponse response;
    return server_->interpreters().RestartInterpreter(Context().get(), request, &response);
  }
  grpc::Status DeleteInterpreter(const std::string& name, std::vector<std::string>* lost) {
    v1::DeleteInterpreterRequest request;
    request.set_name(name);
    v1::DeleteInterpreterResponse response;
    const grpc::Status status =
        server_->interpreters().DeleteInterpreter(Context().get(), request, &response);
    *lost = {response.lost_interpreters().begin(), response.lost_interpreters().end()};
    return status;
  }
  grpc::Status TryCell(const std::string& interpreter, const std::string& code) {
    v1::RunCodeResponse response;
    return TryRun(CellRequest(interpreter, code), &response);
  }

  // What each of the three profiles has to do.
  void CheckProfile(Interpreter::Profile profile);
};

void InterpreterTest::CheckProfile(Interpreter::Profile profile) {
  SCOPED_TRACE(Interpreter::Profile_Name(profile));
  const std::string sandbox = MakeSandbox();
  const Interpreter made = Make(sandbox, profile, {"json"});
  EXPECT_EQ(made.profile(), profile);
  EXPECT_EQ(made.state(), Interpreter::STATE_READY);
  EXPECT_EQ(made.profile_reason(), "");
  const std::string& name = made.name();
  // Variables of its own, the sandbox's files, output of its own.
  (void)Cell(sandbox, "x = 'main'\nopen('/workspace/f', 'w').write('from main')");
  EXPECT_EQ(Value(name, "'x' in globals(), open('/workspace/f').read()"), "(False, 'from main')");
  (void)Cell(name, "x = 'further'");
  EXPECT_EQ(Value(sandbox, "x"), "'main'");
  EXPECT_EQ(Cell(name, "import sys; print(x); print('err', file=sys.stderr)").stdout(),
            "further\n");
  EXPECT_EQ(Cell(name, "1/0").outcome().exception().type(), "ZeroDivisionError");
  // Interrupted, it keeps them.
  RunningCell loop(server_->executions(), name, "print('on', flush=True)\nwhile True: pass");
  loop.AwaitOutput("on");
  EXPECT_EQ(Value(sandbox, "1 + 1"), "2") << "one does not wait for another";
  v1::Sandbox described;
  ASSERT_TRUE(Get(sandbox, &described).ok());
  EXPECT_EQ(described.state(), v1::Sandbox::STATE_BUSY);
  EXPECT_EQ(Interrupt(name).outcome().kind(), Outcome::KIND_INTERRUPTED);
  EXPECT_TRUE(loop.AwaitEnd().state_preserved());
  EXPECT_EQ(Value(name, "x"), "'further'");
  // Restarted, it has none.
  EXPECT_TRUE(RestartInterpreter(name).ok());
  EXPECT_EQ(Value(name, "'x' in globals()"), "False");
  EXPECT_EQ(Now(name).restart_count(), 1);
  // Deleted, it is gone.
  std::vector<std::string> lost;
  EXPECT_TRUE(DeleteInterpreter(name, &lost).ok());
  EXPECT_THAT(lost, IsEmpty());
  EXPECT_EQ(Reason(TryCell(name, "x")), "INTERPRETER_NOT_FOUND");
  EXPECT_EQ(Value(sandbox, "x"), "'main'");
}

TEST_F(InterpreterTest, ProcessInterpretersLiveBesideMain) {
  CheckProfile(Interpreter::PROFILE_PROCESS);
}
TEST_F(InterpreterTest, IsolatedInterpretersLiveBesideMain) {
  CheckProfile(Interpreter::PROFILE_ISOLATED);
}
TEST_F(InterpreterTest, InterpretersThatShareAGilLiveBesideMain) {
  CheckProfile(Interpreter::PROFILE_SHARED_GIL);
}

TEST_F(InterpreterTest, ThoseOfAllProfilesRunAtTheSameTime) {
  const std::string sandbox = MakeSandbox();
  std::vector<std::string> names = {sandbox};
  for (const auto profile : {Interpreter::PROFILE_ISOLATED, Interpreter::PROFILE_ISOLATED,
                             Interpreter::PROFILE_SHARED_GIL, Interpreter::PROFILE_PROCESS}) {
    names.push_back(Make(sandbox, profile).name());
  }
  // Each waits for all: none would ever end if one had to wait for another's end.
  std::vector<std::future<v1::RunCodeResponse>> ends;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string code = "import os, time\nopen('/workspace/here" + std::to_string(i) +
                             "', 'w').close()\nwhile len([f for f in os.listdir('/workspace') if "
                             "f.startswith('here')]) < 5: time.sleep(0.005)";
    ends.push_back(std::async(std::launch::async, [&, i, code] { return Cell(names[i], code); }));
  }
  for (auto& end : ends) EXPECT_EQ(end.get().outcome().kind(), Outcome::KIND_SUCCEEDED);
}

TEST_F(InterpreterTest, AnInterruptInOneLeavesTheOthersRunning) {
  const std::string sandbox = MakeSandbox();
  const std::string one = Make(sandbox, Interpreter::PROFILE_PROCESS).name();
  const std::string two = Make(sandbox, Interpreter::PROFILE_ISOLATED).name();
  const char* kWait =
      "import os, time\nprint('on', flush=True)\n"
      "while not os.path.exists('/workspace/go'): time.sleep(0.01)\n'went on'";
  RunningCell in_main(server_->executions(), sandbox, kWait);
  RunningCell in_one(server_->executions(), one, kWait);
  RunningCell in_two(server_->executions(), two, kWait);
  for (RunningCell* cell : {&in_main, &in_one, &in_two}) cell->AwaitOutput("on");
  EXPECT_EQ(Interrupt(one).outcome().kind(), Outcome::KIND_INTERRUPTED);
  EXPECT_EQ(in_one.AwaitEnd().kind(), Outcome::KIND_INTERRUPTED);
  (void)Cell(one, "open('/workspace/go', 'w').close()");
  EXPECT_EQ(in_main.AwaitEnd().kind(), Outcome::KIND_SUCCEEDED);
  EXPECT_EQ(in_two.AwaitEnd().kind(), Outcome::KIND_SUCCEEDED);
}

TEST_F(InterpreterTest, OneThatIsLostSaysWhyAndTheSandboxGoesOn) {
  const std::string sandbox = MakeSandbox();
  const std::string one = Make(sandbox, Interpreter::PROFILE_PROCESS).name();
  const std::string two = Make(sandbox, Interpreter::PROFILE_PROCESS).name();
  (void)Cell(sandbox, "x = 1");
  (void)Cell(two, "x = 2");
  EXPECT_EQ(Cell(one, "import os; os.abort()").outcome().kind(), Outcome::KIND_SIGNALED);
  const grpc::Status refused = TryCell(one, "1");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Reason(refused), "INTERPRETER_LOST");
  EXPECT_EQ(Now(one).state(), Interpreter::STATE_LOST);
  EXPECT_EQ(Now(one).loss().cause(), Outcome::KIND_SIGNALED);
  EXPECT_EQ(Value(sandbox, "x"), "1");
  EXPECT_EQ(Value(two, "x"), "2");
  EXPECT_TRUE(RestartInterpreter(one).ok());
  EXPECT_EQ(Value(one, "3"), "3");
}

TEST_F(InterpreterTest, IsolatedOnesThatShareAProcessAreLostTogether) {
  const std::string sandbox = MakeSandbox();
  const std::string one = Make(sandbox, Interpreter::PROFILE_ISOLATED).name();
  const std::string two = Make(sandbox, Interpreter::PROFILE_ISOLATED).name();
  EXPECT_EQ(Cell(one, "import os; os.abort()").outcome().kind(), Outcome::KIND_SIGNALED);
  EXPECT_EQ(Reason(TryCell(two, "1")), "INTERPRETER_LOST");
  EXPECT_EQ(Value(sandbox, "1"), "1");
  EXPECT_TRUE(RestartInterpreter(two).ok());
  EXPECT_TRUE(RestartInterpreter(one).ok());
  EXPECT_EQ(Value(one, "1") + Value(two, "2"), "12");
}

TEST_F(InterpreterTest, TheLossOfTheSandboxIsTheirs) {
  const std::string sandbox = MakeSandbox();
  const std::string one = Make(sandbox, Interpreter::PROFILE_PROCESS).name();
  RunningCell running(server_->executions(), one, "print('on', flush=True)\nwhile True: pass");
  running.AwaitOutput("on");
  EXPECT_EQ(Cell(sandbox, "import os; os._exit(3)").outcome().kind(), Outcome::KIND_EXITED);
  EXPECT_EQ(running.AwaitEnd().kind(), Outcome::KIND_INTERPRETER_LOST);
  EXPECT_EQ(Reason(TryCell(one, "1")), "SANDBOX_LOST");
  EXPECT_EQ(Reason(RestartInterpreter(one)), "SANDBOX_LOST");
  (void)Restart(sandbox);
  EXPECT_EQ(Reason(TryCell(one, "1")), "INTERPRETER_NOT_FOUND");
  EXPECT_TRUE(Delete(sandbox).ok());
  EXPECT_EQ(Reason(TryCell(one, "1")), "SANDBOX_NOT_FOUND");
}

TEST_F(InterpreterTest, DeletionInterruptsWhatRuns) {
  const std::string sandbox = MakeSandbox();
  for (const auto profile : {Interpreter::PROFILE_PROCESS, Interpreter::PROFILE_ISOLATED}) {
    const std::string one = Make(sandbox, profile).name();
    RunningCell running(server_->executions(), one, "print('on', flush=True)\nwhile True: pass");
    running.AwaitOutput("on");
    std::vector<std::string> lost;
    EXPECT_TRUE(DeleteInterpreter(one, &lost).ok());
    EXPECT_THAT(lost, IsEmpty());
    EXPECT_EQ(running.AwaitEnd().kind(), Outcome::KIND_INTERRUPTED);
  }
  EXPECT_EQ(Value(sandbox, "1"), "1");
}

// ---- profiles -----------------------------------------------------------------------------------

TEST_F(InterpreterTest, TheServerChoosesByWhatIsImported) {
  const std::string sandbox = MakeSandbox("data");
  const auto choice = Interpreter::PROFILE_UNSPECIFIED;
  const Interpreter plain = Make(sandbox, choice, {"json"});
  EXPECT_EQ(plain.profile(), Interpreter::PROFILE_ISOLATED);
  EXPECT_NE(plain.profile_reason(), "");
  const Interpreter numeric = Make(sandbox, choice, {"json", "numpy"});
  EXPECT_EQ(numeric.profile(), Interpreter::PROFILE_PROCESS);
  EXPECT_THAT(numeric.profile_reason(), HasSubstr("numpy"));
  EXPECT_EQ(Value(numeric.name(), "import numpy; int(numpy.arange(3).sum())"), "3");
}

TEST_F(InterpreterTest, ImportsThatFailAreToldByName) {
  const std::string sandbox = MakeSandbox("data");
  Interpreter made;
  v1::CreateInterpreterRequest request;
  request.set_sandbox(sandbox);
  for (const auto profile : {Interpreter::PROFILE_UNSPECIFIED, Interpreter::PROFILE_ISOLATED,
                             Interpreter::PROFILE_PROCESS}) {
    request.set_profile(profile);
    request.clear_imports();
    request.add_imports("no_such_module");
    const grpc::Status status = TryMake(request, &made);
    EXPECT_EQ(Reason(status), "IMPORT_FAILED") << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr("no_such_module"));
  }
  request.set_profile(Interpreter::PROFILE_ISOLATED);
  request.set_imports(0, "numpy");
  const grpc::Status status = TryMake(request, &made);
  EXPECT_EQ(Reason(status), "IMPORT_FAILED");
  EXPECT_THAT(status.error_message(), HasSubstr("PROCESS"));
}

TEST_F(InterpreterTest, Python313OffersProcessesOnly) {
  const std::string sandbox = MakeSandbox("python3.13");
  Interpreter made;
  v1::CreateInterpreterRequest request;
  request.set_sandbox(sandbox);
  for (const auto profile : {Interpreter::PROFILE_ISOLATED, Interpreter::PROFILE_SHARED_GIL}) {
    request.set_profile(profile);
    const grpc::Status status = TryMake(request, &made);
    EXPECT_EQ(Reason(status), "PROFILE_UNSUPPORTED");
    EXPECT_THAT(status.error_message(), HasSubstr("3.13"));
  }
  const Interpreter chosen = Make(sandbox, Interpreter::PROFILE_UNSPECIFIED);
  EXPECT_EQ(chosen.profile(), Interpreter::PROFILE_PROCESS);
  EXPECT_EQ(Value(chosen.name(), "1 + 1"), "2");
}

// ---- names and bounds ---------------------------------------------------------------------------

TEST_F(InterpreterTest, NamesAreFoundOrSaidNotToBe) {
  const std::string sandbox = MakeSandbox();
  Interpreter found;
  EXPECT_EQ(Reason(GetInterpreter(sandbox + "/interpreters/nobody", &found)),
            "INTERPRETER_NOT_FOUND");
  EXPECT_EQ(Reason(GetInterpreter("sandboxes/nobody/interpreters/x", &found)),
            "SANDBOX_NOT_FOUND");
  EXPECT_EQ(Reason(GetInterpreter("", &found)), "FIELD_INVALID");
  EXPECT_EQ(Now(sandbox + "/interpreters/main").profile(), Interpreter::PROFILE_MAIN);
  v1::CreateSandboxRequest brief;
  *brief.mutable_ttl() = Milliseconds(300);
  const std::string expired = Create(brief).name();
  v1::Sandbox last;
  (void)AwaitState(expired, v1::Sandbox::STATE_LOST, &last);  // until it is gone
  EXPECT_EQ(Reason(GetInterpreter(expired + "/interpreters/main", &found)), "SANDBOX_EXPIRED");
}

TEST_F(InterpreterTest, TwoClientsThatMakeTheSameGetOne) {
  const std::string sandbox = MakeSandbox();
  v1::CreateInterpreterRequest request;
  request.set_sandbox(sandbox);
  request.set_interpreter_id("worker");
  request.set_profile(Interpreter::PROFILE_PROCESS);
  std::vector<grpc::Status> statuses(2);
  std::vector<Interpreter> made(2);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] { statuses[i] = TryMake(request, &made[i]); });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_NE(statuses[0].ok(), statuses[1].ok());
  EXPECT_EQ(Reason(statuses[0].ok() ? statuses[1] : statuses[0]), "INTERPRETER_EXISTS");
  request.set_request_id("once");
  request.set_interpreter_id("second");
  ASSERT_TRUE(TryMake(request, &made[0]).ok());
  ASSERT_TRUE(TryMake(request, &made[1]).ok());
  EXPECT_EQ(made[0].name(), made[1].name());
}

TEST_F(InterpreterTest, ThereAreAtMostSoManyAndTheyKeepASandboxFromBeingCopied) {
  const std::string sandbox = MakeSandbox();
  std::vector<std::string> names;
  for (int i = 0; i < 5; ++i) {
    names.push_back(Make(sandbox, Interpreter::PROFILE_PROCESS).name());
  }
  v1::CreateInterpreterRequest request;
  request.set_sandbox(sandbox);
  Interpreter made;
  EXPECT_EQ(Reason(TryMake(request, &made)), "INTERPRETER_COUNT_EXCEEDED");
  v1::ForkSandboxRequest fork;
  fork.set_name(sandbox);
  v1::ForkSandboxResponse forked;
  EXPECT_EQ(Reason(server_->sandboxes().ForkSandbox(Context().get(), fork, &forked)),
            "FORK_REFUSED");
  std::vector<std::string> lost;
  for (const std::string& name : names) EXPECT_TRUE(DeleteInterpreter(name, &lost).ok());
  const grpc::Status status = server_->sandboxes().ForkSandbox(Context().get(), fork, &forked);
  EXPECT_TRUE(status.ok()) << status.error_message();
  for (const v1::Sandbox& copy : forked.sandboxes()) made_.push_back(copy.name());
}

TEST_F(InterpreterTest, ACancelledCreationLeavesNone) {
  const std::string sandbox = MakeSandbox();
  (void)Cell(sandbox, "open('/workspace/slow_module.py', 'w').write('import time; time.sleep(600)')");
  v1::CreateInterpreterRequest request;
  request.set_sandbox(sandbox);
  request.set_interpreter_id("slow");
  request.set_profile(Interpreter::PROFILE_PROCESS);
  request.add_imports("slow_module");
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
  v1::CreateInterpreterResponse response;
  EXPECT_EQ(server_->interpreters().CreateInterpreter(&context, request, &response).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  // The server sees the deadline pass at its own moment.
  Interpreter found;
  std::string reason;
  do {
    reason = Reason(GetInterpreter(sandbox + "/interpreters/slow", &found));
  } while (reason.empty() && std::chrono::steady_clock::now() < deadline);
  EXPECT_EQ(reason, "INTERPRETER_NOT_FOUND");
  // What was half made is given back, whatever it imports.
  v1::ForkSandboxRequest fork;
  fork.set_name(sandbox);
  v1::ForkSandboxResponse forked;
  grpc::Status status;
  do {
    status = server_->sandboxes().ForkSandbox(Context().get(), fork, &forked);
  } while (!status.ok() && std::chrono::steady_clock::now() < deadline);
  EXPECT_TRUE(status.ok()) << status.error_message();
  for (const v1::Sandbox& copy : forked.sandboxes()) made_.push_back(copy.name());
}

}  // namespace
}  // namespace cloister::testing
