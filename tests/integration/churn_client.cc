#include "tests/integration/churn_client.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/integration/live_test.h"
#include "tests/integration/probe.h"

namespace cloister::testing {
namespace {

v1::CreateSandboxRequest NewSandbox() {
  v1::CreateSandboxRequest request;
  request.mutable_limits()->set_memory_bytes(96 << 20);
  request.mutable_limits()->set_workspace_bytes(ChurnClient::kWorkspaceBytes);
  request.mutable_limits()->set_file_bytes(ChurnClient::kFileBytes);
  v1::File& file = *request.add_files();
  file.set_path("n");
  file.set_content("0");
  return request;
}

constexpr char kSetUp[] = "n = 0";
constexpr char kStep[] =
    "n += 1\nassert int(open('n').read()) == n - 1, (n, open('n').read())\n"
    "with open('n', 'w') as f: f.write(str(n))\nn";

}  // namespace

const std::vector<ChurnClient::Operation>& ChurnClient::Operations() {
  using C = ChurnClient;
  static const auto* const operations = new std::vector<Operation>{
      {"create", 10, &C::Create, false},
      {"create and vanish", 2, &C::CreateAndVanish, false},
      {"execute", 40, &C::Execute, true},
      {"execute fresh", 8, &C::ExecuteFresh, false},
      {"raise", 4, &C::Raise, true},
      {"output", 4, &C::FlushOut, true},
      {"fork", 10, &C::Fork, true},
      {"fork and vanish", 2, &C::ForkAndVanish, true},
      {"fork and delete the parent", 3, &C::ForkAndDeleteParent, true},
      {"snapshot", 3, &C::Snapshot, true},
      {"interrupt", 5, &C::Interrupt, true},
      {"interrupt storm", 2, &C::InterruptStorm, true},
      {"vanish mid-stream", 3, &C::VanishMidStream, true},
      {"delete", 6, &C::Delete, true},
      {"delete while busy", 3, &C::DeleteWhileBusy, true},
      {"restart", 3, &C::Restart, true},
      {"abort", 2, &C::Abort, true},
      {"exit", 2, &C::ExitNow, true},
      {"memory bomb", 1, &C::MemoryBomb, true},
      {"wedge", 1, &C::Wedge, true},
      {"break the protocol", 1, &C::BreakProtocol, true},
      {"threads left behind", 2, &C::LeaveThreads, true},
      {"messages", 6, &C::ExchangeMessages, true},
      {"messages: vanish mid-call", 3, &C::VanishMidCall, true},
      {"messages: call an interpreter", 3, &C::CallBetweenInterpreters, true},
      {"interpreter", 6, &C::UseInterpreter, true},
      {"interpreter: interrupt", 3, &C::InterruptInterpreter, true},
      {"interpreter: out of memory", 2, &C::ExhaustInterpreter, true},
      {"interpreter: delete while busy", 2, &C::DeleteBusyInterpreter, true},
      {"interpreter: left to its sandbox", 2, &C::LeaveInterpreters, true},
      {"interpreter: create and vanish", 2, &C::CreateInterpreterAndVanish, true},
      {"interpreter: crash", 2, &C::CrashInterpreter, true},
      {"interpreter: crash of several", 2, &C::CrashInterpretersProcess, true},
      {"interpreter: wedge", 1, &C::WedgeInterpreter, true},
      {"files", 8, &C::UseFiles, true},
      {"files: fork", 3, &C::ForkWithFiles, true},
      {"files: snapshot", 2, &C::SnapshotWithFiles, true},
      {"files: full workspace", 2, &C::FillWorkspace, true},
      {"files: upload and vanish", 4, &C::UploadAndVanish, true},
      {"files: download and vanish", 2, &C::DownloadAndVanish, true},
      {"files: delete while uploading", 2, &C::DeleteWhileUploading, true},
  };
  return *operations;
}

void ChurnClient::WorkUntil(const std::atomic<bool>& stop) {
  int total = 0;
  for (const Operation& operation : Operations()) total += operation.weight;
  while (!stop && !wrong_) {
    int choice = Below(total);
    const Operation* chosen = nullptr;
    for (const Operation& operation : Operations()) {
      chosen = &operation;
      if ((choice -= operation.weight) < 0) break;
    }
    if (chosen->needs_sandbox && held_.empty()) chosen = &Operations().front();
    current_ = chosen->name;
    (this->*chosen->run)();
    ++done_[chosen->name];
    ++total_;
  }
}

// ---- what they share ----------------------------------------------------------------------------

std::unique_ptr<grpc::ClientContext> ChurnClient::Context(int64_t milliseconds) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(milliseconds));
  return context;
}

bool ChurnClient::Check(const grpc::Status& status, const char* what) {
  if (status.ok()) return true;
  const std::string reason = Reason(status);
  if (reason == "POOL_EXHAUSTED" || reason == "OVERLOADED" || reason == "NOT_STARTED") {
    ++refused_;
    return false;
  }
  wrong_ = true;
  ADD_FAILURE() << current_ << ": " << what << ": " << reason << ": " << status.error_code() << " "
                << status.error_message();
  return false;
}

void ChurnClient::Expect(const std::string& seen, const std::string& wanted, const char* what) {
  if (seen == wanted) return;
  wrong_ = true;
  ADD_FAILURE() << current_ << ": " << what << ": " << seen << " instead of " << wanted;
}

void ChurnClient::ExpectRefused(const grpc::Status& status, const std::string& reason,
                                const char* what) {
  Expect(status.ok() ? "OK" : Reason(status), reason, what);
}

ChurnClient::Held& ChurnClient::Pick() {
  return held_[static_cast<size_t>(Below(static_cast<int>(held_.size())))];
}

void ChurnClient::Forget(const std::string& name) {
  std::erase_if(held_, [&](const Held& held) { return held.name == name; });
}

void ChurnClient::DeleteNamed(const std::string& name) {
  v1::DeleteSandboxRequest request;
  request.set_name(name);
  v1::DeleteSandboxResponse response;
  (void)Check(server_->sandboxes().DeleteSandbox(Context().get(), request, &response), "delete");
  Forget(name);
}

void ChurnClient::Adopt(const std::string& name, int64_t n) {
  held_.push_back({name, n});
  Held& held = held_.back();
  Step(held);
  if (held_.size() > kMaximumSandboxes) DeleteNamed(held_.front().name);
}

std::string ChurnClient::RunCell(const std::string& interpreter, const std::string& code,
                                 std::string* value) {
  v1::RunCodeRequest request;
  request.set_interpreter(interpreter);
  request.mutable_program()->set_code(code);
  request.mutable_program()->set_return_value(true);
  v1::RunCodeResponse response;
  const grpc::Status status = server_->executions().RunCode(Context().get(), request, &response);
  if (!Check(status, "run a cell")) return "";
  if (value != nullptr) *value = response.outcome().value().text();
  return Describe(response.outcome());
}

void ChurnClient::Step(Held& held) {
  std::string value;
  const std::string outcome = RunCell(held.name, kStep, &value);
  if (outcome.empty()) return;
  Expect(outcome, "SUCCEEDED", "step");
  Expect(value, absl::StrCat(++held.n), "the value of n");
}

// ---- making -------------------------------------------------------------------------------------

void ChurnClient::Create() {
  v1::CreateSandboxResponse response;
  const grpc::Status status =
      server_->sandboxes().CreateSandbox(Context().get(), NewSandbox(), &response);
  if (!Check(status, "create")) return;
  Expect(RunCell(response.sandbox().name(), kSetUp, nullptr), "SUCCEEDED", "set up");
  Adopt(response.sandbox().name(), 0);
}

// It may exist where the answer crossed the end of the call: nobody knows its name, and it expires.
void ChurnClient::CreateAndVanish() {
  v1::CreateSandboxRequest request = NewSandbox();
  request.mutable_ttl()->set_seconds(2);
  v1::CreateSandboxResponse response;
  (void)server_->sandboxes().CreateSandbox(Context(Below(4)).get(), request, &response);
}

void ChurnClient::Fork() {
  const Held parent = Pick();
  v1::ForkSandboxRequest request;
  request.set_name(parent.name);
  request.set_count(1 + Below(kMaximumForks));
  v1::ForkSandboxResponse response;
  const grpc::Status status = server_->sandboxes().ForkSandbox(Context().get(), request, &response);
  if (!Check(status, "fork")) return;
  Expect(absl::StrCat(response.sandboxes_size()), absl::StrCat(request.count()), "forks");
  for (const v1::Sandbox& fork : response.sandboxes()) Adopt(fork.name(), parent.n);
}

void ChurnClient::ForkAndVanish() {
  v1::ForkSandboxRequest request;
  request.set_name(Pick().name);
  request.set_count(2);
  request.mutable_ttl()->set_seconds(2);
  v1::ForkSandboxResponse response;
  (void)server_->sandboxes().ForkSandbox(Context(Below(8)).get(), request, &response);
}

void ChurnClient::ForkAndDeleteParent() {
  const Held parent = Pick();
  v1::ForkSandboxRequest request;
  request.set_name(parent.name);
  request.set_count(kMaximumForks);
  v1::ForkSandboxResponse response;
  grpc::Status status;
  std::thread forking(
      [&] { status = server_->sandboxes().ForkSandbox(Context().get(), request, &response); });
  std::this_thread::sleep_for(std::chrono::microseconds(Below(5000)));  // any moment will do
  DeleteNamed(parent.name);
  forking.join();
  if (status.ok()) {
    for (const v1::Sandbox& fork : response.sandboxes()) Adopt(fork.name(), parent.n);
  } else {
    Expect(Reason(status), "SANDBOX_NOT_FOUND", "a parent that was deleted");
  }
}

void ChurnClient::Snapshot() {
  const Held source = Pick();
  v1::CreateSnapshotRequest request;
  request.set_sandbox(source.name);
  v1::CreateSnapshotResponse response;
  if (!Check(server_->sandboxes().CreateSnapshot(Context().get(), request, &response),
             "create a snapshot")) {
    return;
  }
  for (int i = Below(3); i >= 0; --i) {
    v1::CreateSandboxRequest create;
    create.set_snapshot(response.snapshot().name());
    (*create.mutable_environment())["COPY"] = "yes";
    v1::CreateSandboxResponse created;
    if (Check(server_->sandboxes().CreateSandbox(Context().get(), create, &created),
              "create from a snapshot")) {
      Adopt(created.sandbox().name(), source.n);
    }
  }
  v1::DeleteSnapshotRequest remove;
  remove.set_name(response.snapshot().name());
  v1::DeleteSnapshotResponse removed;
  (void)Check(server_->sandboxes().DeleteSnapshot(Context().get(), remove, &removed),
              "delete a snapshot");
}

// ---- running ------------------------------------------------------------------------------------

void ChurnClient::Execute() { Step(Pick()); }

void ChurnClient::ExecuteFresh() {
  v1::RunCodeRequest request;
  request.mutable_program()->set_code("print(6 * 7)");
  v1::RunCodeResponse response;
  if (!Check(server_->executions().RunCode(Context().get(), request, &response), "run")) return;
  Expect(response.stdout(), "42\n", "the output");
}

void ChurnClient::Raise() {
  Held& held = Pick();
  Expect(RunCell(held.name, "1 / 0", nullptr), "RAISED ZeroDivisionError", "division");
  Step(held);
}

void ChurnClient::FlushOut() {
  Held& held = Pick();
  Expect(RunCell(held.name, "while True: print('x' * 10000)", nullptr), "OUTPUT_LIMIT", "flood");
  Step(held);
}

void ChurnClient::LeaveThreads() {
  const std::string name = Pick().name;
  Expect(
      RunCell(
          name,
          "import threading, time\n"
          "for _ in range(8): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
          nullptr),
      "SUCCEEDED", "threads");
  DeleteNamed(name);
}

void ChurnClient::Interrupt() {
  Held& held = Pick();
  RunningCell cell(server_->executions(), held.name, kLoop);
  cell.AwaitOutput("on");
  v1::InterruptExecutionRequest request;
  request.set_interpreter(held.name);
  request.mutable_grace()->set_seconds(10);
  v1::InterruptExecutionResponse response;
  (void)Check(server_->executions().InterruptExecution(Context().get(), request, &response),
              "interrupt");
  Expect(Describe(cell.AwaitEnd()), "INTERRUPTED", "the cell");
  Step(held);
}

void ChurnClient::InterruptStorm() {
  Held& held = Pick();
  RunningCell cell(server_->executions(), held.name, kLoop);
  cell.AwaitOutput("on");
  std::vector<std::thread> storm;
  for (int i = 0; i < 8; ++i) {
    storm.emplace_back([this, name = held.name] {
      v1::InterruptExecutionRequest request;
      request.set_interpreter(name);
      request.mutable_grace()->set_seconds(10);
      v1::InterruptExecutionResponse response;
      // One that comes when the cell has ended finds nothing to interrupt.
      (void)server_->executions().InterruptExecution(Context().get(), request, &response);
    });
  }
  for (std::thread& one : storm) one.join();
  Expect(Describe(cell.AwaitEnd()), "INTERRUPTED", "the cell");
  Step(held);
}

// The cell is interrupted; what comes next waits for its end.
void ChurnClient::VanishMidStream() {
  Held& held = Pick();
  {
    RunningCell cell(server_->executions(), held.name, kLoop);
    cell.AwaitOutput("on");
    cell.Cancel();
  }
  Step(held);
}

// ---- ending -------------------------------------------------------------------------------------

void ChurnClient::Delete() { DeleteNamed(Pick().name); }

void ChurnClient::DeleteWhileBusy() {
  const std::string name = Pick().name;
  RunningCell cell(server_->executions(), name, kLoop);
  cell.AwaitOutput("on");
  DeleteNamed(name);
  Expect(Describe(cell.AwaitEnd()), "INTERRUPTED", "the cell");
}

void ChurnClient::Restart() {
  const std::string name = Pick().name;
  v1::RestartSandboxRequest request;
  request.set_name(name);
  v1::RestartSandboxResponse response;
  const grpc::Status status =
      server_->sandboxes().RestartSandbox(Context().get(), request, &response);
  // Ours are short-lived.
  const bool is_orphan = Reason(status) == "SNAPSHOT_NOT_FOUND";
  if (is_orphan || !Check(status, "restart")) return DeleteNamed(name);
  Expect(RunCell(name, "n = 0; f = open('n', 'w'); f.write('0'); f.close()", nullptr), "SUCCEEDED",
         "set up anew");
  Forget(name);
  Adopt(name, 0);
}

void ChurnClient::Crash(const std::string& code, const std::string& outcome) {
  const std::string name = Pick().name;
  Expect(RunCell(name, code, nullptr), outcome, "the crash");
  DeleteNamed(name);
}

void ChurnClient::MemoryBomb() {
  Crash("b = []\nwhile True: b.append(bytearray(b'x' * (1 << 20)))", "MEMORY_LIMIT");
}

void ChurnClient::Wedge() {
  const std::string name = Pick().name;
  v1::RunCodeRequest request;
  request.set_interpreter(name);
  request.mutable_program()->set_code("sum(range(10**12))");
  request.mutable_limits()->mutable_wall_time()->set_nanos(50'000'000);
  v1::RunCodeResponse response;
  if (!Check(server_->executions().RunCode(Context().get(), request, &response), "wedge")) return;
  Expect(Describe(response.outcome()), "WALL_TIMEOUT", "the wedged cell");
  DeleteNamed(name);
}

}  // namespace cloister::testing
