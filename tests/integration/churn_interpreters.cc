// What churning clients do with further interpreters of their sandboxes.

#include <algorithm>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/integration/churn_client.h"
#include "tests/integration/live_test.h"
#include "tests/integration/probe.h"

namespace cloister::testing {

using v1::Interpreter;

// The last one leaves the choice to the server.
Interpreter::Profile ChurnClient::AnyProfile() {
  constexpr Interpreter::Profile kProfiles[] = {
      Interpreter::PROFILE_PROCESS, Interpreter::PROFILE_ISOLATED, Interpreter::PROFILE_SHARED_GIL,
      Interpreter::PROFILE_UNSPECIFIED};
  return kProfiles[Below(4)];
}

std::string ChurnClient::MakeInterpreter(const std::string& sandbox, Interpreter::Profile profile,
                                         int64_t memory_limit_bytes) {
  v1::CreateInterpreterRequest request;
  request.set_sandbox(sandbox);
  request.set_profile(profile);
  request.add_imports("json");
  request.set_memory_limit_bytes(memory_limit_bytes);
  (*request.mutable_environment())["FURTHER"] = "yes";
  v1::CreateInterpreterResponse response;
  const grpc::Status status =
      server_->interpreters().CreateInterpreter(Context().get(), request, &response);
  return Check(status, "create an interpreter") ? response.interpreter().name() : "";
}

int ChurnClient::DeleteInterpreter(const std::string& name) {
  v1::DeleteInterpreterRequest request;
  request.set_name(name);
  v1::DeleteInterpreterResponse response;
  (void)Check(server_->interpreters().DeleteInterpreter(Context().get(), request, &response),
              "delete an interpreter");
  return response.lost_interpreters_size();
}

void ChurnClient::RestartInterpreter(const std::string& name) {
  v1::RestartInterpreterRequest request;
  request.set_name(name);
  v1::RestartInterpreterResponse response;
  (void)Check(server_->interpreters().RestartInterpreter(Context().get(), request, &response),
              "restart an interpreter");
  Expect(RunCell(name, "assert 'here' not in globals()", nullptr), "SUCCEEDED", "a new start");
}

grpc::Status ChurnClient::TryCell(const std::string& interpreter, const std::string& code) {
  v1::RunCodeRequest request;
  request.set_interpreter(interpreter);
  request.mutable_program()->set_code(code);
  v1::RunCodeResponse response;
  return server_->executions().RunCode(Context().get(), request, &response);
}

void ChurnClient::UseInterpreter() {
  Held& held = Pick();
  const std::string name = MakeInterpreter(held.name, AnyProfile());
  if (name.empty()) return;
  std::string value;
  Expect(RunCell(name, "import os\nhere = 1\n(open('n').read(), os.environ['FURTHER'])", &value),
         "SUCCEEDED", "in the interpreter");
  Expect(value, absl::StrCat("('", held.n, "', 'yes')"), "the sandbox's file");
  Expect(RunCell(name, "1 / 0", nullptr), "RAISED ZeroDivisionError", "division");
  v1::ForkSandboxRequest fork;
  fork.set_name(held.name);
  v1::ForkSandboxResponse forked;
  ExpectRefused(server_->sandboxes().ForkSandbox(Context().get(), fork, &forked), "FORK_REFUSED",
                "a copy beside an interpreter");
  if (Below(2) == 0) RestartInterpreter(name);
  Expect(absl::StrCat(DeleteInterpreter(name)), "0", "lost by the deletion");
  ExpectRefused(TryCell(name, "1"), "INTERPRETER_NOT_FOUND", "a deleted one");
  Step(held);
}

void ChurnClient::InterruptInterpreter() {
  Held& held = Pick();
  const std::string name = MakeInterpreter(held.name, AnyProfile());
  if (name.empty()) return;
  Expect(RunCell(name, "here = 1", nullptr), "SUCCEEDED", "in the interpreter");
  RunningCell cell(server_->executions(), name, kLoop);
  cell.AwaitOutput("on");
  v1::InterruptExecutionRequest request;
  request.set_interpreter(name);
  request.mutable_grace()->set_seconds(10);
  v1::InterruptExecutionResponse response;
  (void)Check(server_->executions().InterruptExecution(Context().get(), request, &response),
              "interrupt");
  Expect(Describe(cell.AwaitEnd()), "INTERRUPTED", "the cell");
  Expect(RunCell(name, "assert here == 1", nullptr), "SUCCEEDED", "its variables");
  (void)DeleteInterpreter(name);
  Step(held);
}

void ChurnClient::ExhaustInterpreter() {
  Held& held = Pick();
  const std::string name =
      MakeInterpreter(held.name, Interpreter::PROFILE_ISOLATED, int64_t{16} << 20);
  if (name.empty()) return;
  Expect(RunCell(name, "x = bytearray(40 << 20)", nullptr), "RAISED MemoryError", "too much");
  Expect(RunCell(name, "x = [str(i) for i in range(10_000)]", nullptr), "SUCCEEDED",
         "not too much");
  (void)DeleteInterpreter(name);
  Step(held);
}

void ChurnClient::DeleteBusyInterpreter() {
  Held& held = Pick();
  const std::string name = MakeInterpreter(held.name, AnyProfile());
  if (name.empty()) return;
  RunningCell cell(server_->executions(), name, kLoop);
  cell.AwaitOutput("on");
  Expect(absl::StrCat(DeleteInterpreter(name)), "0", "lost by the deletion");
  Expect(Describe(cell.AwaitEnd()), "INTERRUPTED", "the cell");
  Step(held);
}

// Made at the same time, busy, and ended by the end of their sandbox.
void ChurnClient::LeaveInterpreters() {
  const std::string sandbox = Pick().name;
  std::vector<v1::CreateInterpreterResponse> made(3);
  std::vector<grpc::Status> statuses(made.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < made.size(); ++i) {
    v1::CreateInterpreterRequest request;
    request.set_sandbox(sandbox);
    request.set_profile(AnyProfile());
    threads.emplace_back([this, request, status = &statuses[i], response = &made[i]] {
      *status = server_->interpreters().CreateInterpreter(Context().get(), request, response);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<std::unique_ptr<RunningCell>> cells;
  for (size_t i = 0; i < made.size(); ++i) {
    if (!Check(statuses[i], "create an interpreter")) continue;
    cells.push_back(
        std::make_unique<RunningCell>(server_->executions(), made[i].interpreter().name(), kLoop));
    cells.back()->AwaitOutput("on");
  }
  DeleteNamed(sandbox);
  for (auto& cell : cells) Expect(Describe(cell->AwaitEnd()), "INTERRUPTED", "a cell of them");
}

// It may exist where the answer crossed the end of the call; nobody knows its name, and it keeps
// its sandbox from being copied.
void ChurnClient::CreateInterpreterAndVanish() {
  const std::string sandbox = Pick().name;
  v1::CreateInterpreterRequest request;
  request.set_sandbox(sandbox);
  request.set_profile(AnyProfile());
  v1::CreateInterpreterResponse response;
  for (int i = 0; i < 3; ++i) {
    (void)server_->interpreters().CreateInterpreter(Context(Below(30)).get(), request, &response);
  }
  DeleteNamed(sandbox);
}

void ChurnClient::CrashInterpreter() {
  Held& held = Pick();
  const std::string name = MakeInterpreter(held.name, Interpreter::PROFILE_PROCESS);
  if (name.empty()) return;
  Expect(RunCell(name, "import os; os.abort()", nullptr), "SIGNALED 6", "the crash");
  ExpectRefused(TryCell(name, "1"), "INTERPRETER_LOST", "a lost one");
  if (Below(2) == 0) RestartInterpreter(name);
  (void)DeleteInterpreter(name);
  Step(held);
}

// Those of two profiles share a process and end with it; others do not notice.
void ChurnClient::CrashInterpretersProcess() {
  Held& held = Pick();
  const std::string one = MakeInterpreter(held.name, Interpreter::PROFILE_ISOLATED);
  const std::string two = MakeInterpreter(
      held.name, Below(2) == 0 ? Interpreter::PROFILE_ISOLATED : Interpreter::PROFILE_SHARED_GIL);
  const std::string apart = MakeInterpreter(held.name, Interpreter::PROFILE_PROCESS);
  if (one.empty() || two.empty() || apart.empty()) return DeleteNamed(held.name);
  Expect(RunCell(apart, "here = 1", nullptr), "SUCCEEDED", "in a process");
  RunningCell cell(server_->executions(), two, kLoop);
  cell.AwaitOutput("on");
  Expect(RunCell(one, "import os; os.abort()", nullptr), "SIGNALED 6", "the crash");
  Expect(Describe(cell.AwaitEnd()), "SIGNALED 6", "the cell of the other");
  ExpectRefused(TryCell(two, "1"), "INTERPRETER_LOST", "the other");
  Expect(RunCell(apart, "assert here == 1", nullptr), "SUCCEEDED", "in a process, afterwards");
  if (Below(2) == 0) RestartInterpreter(two);
  for (const std::string& name : {one, two, apart}) (void)DeleteInterpreter(name);
  Step(held);
}

// No interrupt ends a loop in C: the process is killed, and costs the other one in it.
void ChurnClient::WedgeInterpreter() {
  Held& held = Pick();
  const std::string wedged = MakeInterpreter(held.name, Interpreter::PROFILE_ISOLATED);
  const std::string other = MakeInterpreter(held.name, Interpreter::PROFILE_ISOLATED);
  if (wedged.empty() || other.empty()) return DeleteNamed(held.name);
  {
    // Swallows interrupts that come before the loop in C has begun, and one that meets the swallowing.
    RunningCell cell(server_->executions(), wedged,
                     "while True:\n"
                     "  try:\n"
                     "    while True:\n"
                     "      try:\n"
                     "        print('on', flush=True)\n"
                     "        sum(range(10**12))\n"
                     "      except BaseException: pass\n"
                     "  except BaseException: pass");
    cell.AwaitOutput("on");
    Expect(absl::StrCat(DeleteInterpreter(wedged)), "1", "lost by the deletion");
    (void)cell.AwaitEnd();
  }
  ExpectRefused(TryCell(other, "1"), "INTERPRETER_LOST", "the other");
  (void)DeleteInterpreter(other);
  Step(held);
}

}  // namespace cloister::testing
