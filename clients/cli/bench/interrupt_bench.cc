#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clients/cli/bench/benches.h"
#include "clients/cli/bench/interrupt_tally.h"
#include "clients/cli/bench/live_sandboxes.h"
#include "clients/cli/bench/machine.h"
#include "clients/cli/commands/units.h"
#include "cloister/client/channel.h"
#include "cloister/client/service_error.h"

namespace cloister::cli::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Row {
  const char* name;
  const char* set_up;
  const char* code;  // does not end by itself
};

constexpr Row kRows[] = {
    {"busy_loop", "", "while True: pass"},
    {"sleep", "import time", "time.sleep(100)"},
    {"select", "import select, socket\na, b = socket.socketpair()", "select.select([a], [], [])"},
    {"pipe", "import os\nif 'r' not in globals(): r, w = os.pipe()", "os.read(r, 1)"},
    {"socket_pair", "import socket\na, b = socket.socketpair()", "a.recv(1)"},
    {"asyncio", "import asyncio", "asyncio.run(asyncio.sleep(100))"},
    {"re", "import re", "re.match(r'(a+)+$', 'a' * 40 + 'b')"},
    {"big_power", "n = 10 ** 8", "x = 7 ** n"},
    {"lock", "import threading\nl = threading.Lock(); l.acquire()", "l.acquire()"},
    {"event", "import threading\ne = threading.Event()", "e.wait()"},
    {"queue", "import queue\nq = queue.Queue()", "q.get()"},
    {"join",
     "import threading, time\nt = threading.Thread(target=time.sleep, args=(100,), daemon=True)\n"
     "t.start()",
     "t.join()"},
    {"c_loop", "", "sum(range(10 ** 12))"},
    {"except_base_exception", "",
     "while True:\n  try:\n    while True: pass\n  except BaseException: pass"},
};

constexpr int kRounds = 7;
constexpr absl::Duration kGrace = absl::Milliseconds(500);
// Nobody can tell from outside when a thread has got from its last output to where it waits.
constexpr std::chrono::milliseconds kUntilItWaits{20};

// A cell that was started and waits for nothing but an interrupt.
class EndlessCell {
 public:
  EndlessCell(v1::ExecutionService::Stub* executions, const std::string& interpreter,
              const Row& row) {
    v1::ExecuteRequest request;
    request.set_interpreter(interpreter);
    request.mutable_program()->set_code(
        absl::StrCat(row.set_up, "\nprint('on', flush=True)\n", row.code));
    reader_ = executions->Execute(&context_, request);
  }
  ~EndlessCell() {
    context_.TryCancel();
    for (v1::ExecuteResponse response; reader_->Read(&response);) {
    }
    (void)reader_->Finish();
  }

  // False where it ended before.
  bool AwaitOutput() {
    v1::ExecuteResponse response;
    while (reader_->Read(&response)) {
      if (response.event().event_case() == v1::ExecutionEvent::kStdout) return true;
    }
    return false;
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::ExecuteResponse>> reader_;
};

struct Interrupted {
  v1::Outcome outcome;
  absl::Duration took;
};

// One interpreter after another, each for as long as interrupts leave it alive.
class Bench {
 public:
  Bench(const std::string& address, const BenchOptions& options)
      : options_(options),
        address_(address),
        sandboxes_(address),
        executions_(v1::ExecutionService::NewStub(client::CreateChannel(address))) {}

  absl::Status Measure(const std::string& column, v1::Interpreter::Profile profile, Json* results) {
    interpreter_.reset();
    profile_ = profile;
    for (const Row& row : kRows) {
      const absl::StatusOr<InterruptTally> tally = MeasureRow(row);
      if (!tally.ok()) {
        return absl::Status(tally.status().code(),
                            absl::StrCat(column, " ", row.name, ": ", tally.status().message()));
      }
      tally->Fill(absl::StrCat(column, "_", row.name), results);
    }
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<InterruptTally> MeasureRow(const Row& row) {
    InterruptTally tally;
    for (int round = 0; round < kRounds; ++round) {
      if (absl::Status status = EnsureInterpreter(); !status.ok()) return status;
      const absl::StatusOr<Interrupted> interrupted = InterruptOnce(row);
      if (!interrupted.ok()) return interrupted.status();
      tally.Add(interrupted->outcome, interrupted->took);
      if (!interrupted->outcome.state_preserved()) interpreter_.reset();
    }
    return tally;
  }

  absl::Status EnsureInterpreter() {
    if (interpreter_.has_value()) return absl::OkStatus();
    sandboxes_.DeleteFrom(0);
    absl::StatusOr<std::string> made = sandboxes_.Create(options_.template_name);
    if (made.ok() && profile_ != v1::Interpreter::PROFILE_MAIN) {
      made = sandboxes_.AddInterpreter(*made, profile_);
    }
    if (made.ok()) interpreter_ = *made;
    return made.status();
  }

  absl::StatusOr<Interrupted> InterruptOnce(const Row& row) {
    EndlessCell cell(executions_.get(), *interpreter_, row);
    if (!cell.AwaitOutput()) return absl::UnavailableError("the cell ended before its interrupt");
    std::this_thread::sleep_for(kUntilItWaits);
    v1::InterruptExecutionRequest request;
    request.set_interpreter(*interpreter_);
    *request.mutable_grace() = ToProto(kGrace);
    v1::InterruptExecutionResponse response;
    grpc::ClientContext context;
    const Clock::time_point begin = Clock::now();
    const grpc::Status status = executions_->InterruptExecution(&context, request, &response);
    const Clock::duration took = Clock::now() - begin;
    if (!status.ok()) {
      return absl::UnavailableError(client::ErrorText(client::ParseServiceError(status), address_));
    }
    return Interrupted{std::move(*response.mutable_outcome()), absl::FromChrono(took)};
  }

  const BenchOptions& options_;
  const std::string address_;
  LiveSandboxes sandboxes_;
  const std::unique_ptr<v1::ExecutionService::Stub> executions_;
  v1::Interpreter::Profile profile_ = v1::Interpreter::PROFILE_MAIN;
  std::optional<std::string> interpreter_;
};

}  // namespace

absl::StatusOr<Report> BenchInterrupt(const BenchOptions& options) {
  const absl::StatusOr<std::string> address = client::ResolveServerAddress(options.server);
  if (!address.ok()) return address.status();
  Report report;
  report.bench = "interrupt";
  Bench bench(*address, options);
  absl::Status status = bench.Measure("main", v1::Interpreter::PROFILE_MAIN, &report.results);
  if (!status.ok()) return status;
  status = bench.Measure("isolated", v1::Interpreter::PROFILE_ISOLATED, &report.results);
  if (!status.ok()) return status;
  report.machine = MachineJson("");
  report.config = {{"rounds", kRounds},
                   {"grace_milliseconds", absl::ToInt64Milliseconds(kGrace)},
                   {"template", options.template_name},
                   {"server", *address}};
  return report;
}

}  // namespace cloister::cli::bench
