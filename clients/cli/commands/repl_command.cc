#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "clients/cli/commands/cell_reader.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/interrupt_ladder.h"
#include "clients/cli/commands/line_source.h"
#include "clients/cli/commands/outcome_text.h"
#include "clients/cli/commands/reply.h"
#include "clients/cli/commands/signal_watcher.h"
#include "cloister/client/service_error.h"

namespace cloister::cli {
namespace {

constexpr char kPrompt[] = ">>> ";
constexpr char kMorePrompt[] = "... ";
constexpr std::chrono::seconds kCheckTimeout(1);

std::string ErrorText(const Server& server, const grpc::Status& status) {
  return client::ErrorText(client::ParseServiceError(status), server.address);
}

// One conversation with one interpreter.
class Repl {
 public:
  Repl(const Server& server, std::string sandbox, OutputFds fds)
      : server_(server), sandbox_(std::move(sandbox)), fds_(fds), lines_(MakeLineSource()) {}

  // Until the end of the input, or of the program. The exit code.
  int Run() {
    grpc::Status status = Find();
    if (!status.ok()) return Refused(server_, status, fds_);
    while (!exit_code_.has_value()) {
      std::string code;
      const LineSource::Event event = ReadInput(&code);
      if (event == LineSource::Event::kEnd) return kExitOk;
      if (event == LineSource::Event::kInterrupted || code.find_first_not_of(" \n") == code.npos) {
        continue;
      }
      status = Execute(code);
      if (status.ok()) continue;
      Complain(fds_.err, ErrorText(server_, status));
      const std::string reason = client::ParseServiceError(status).reason;
      const bool is_lost = reason == "INTERPRETER_LOST" ||
                           (reason == "SANDBOX_LOST" && !IsFurtherInterpreter());
      if (is_lost ? !Restart() : reason != "EXECUTION_QUEUE_FULL") return ExitCodeFor(status);
      Complain(fds_.err, "what was typed last was not run");
    }
    return *exit_code_;
  }

 private:
  // Whether it is there; better told before anything is typed.
  grpc::Status Find() {
    grpc::ClientContext context;
    if (IsFurtherInterpreter()) {
      v1::GetInterpreterRequest request;
      request.set_name(sandbox_);
      v1::GetInterpreterResponse response;
      return server_.interpreters->GetInterpreter(&context, request, &response);
    }
    v1::GetSandboxRequest request;
    request.set_name(sandbox_);
    v1::GetSandboxResponse response;
    return server_.sandboxes->GetSandbox(&context, request, &response);
  }

  LineSource::Event ReadInput(std::string* code) {
    do {
      LineSource::Result next = lines_->Next(code->empty() ? kPrompt : kMorePrompt);
      if (next.event == LineSource::Event::kEnd && !code->empty()) return LineSource::Event::kLine;
      if (next.event != LineSource::Event::kLine) return next.event;
      lines_->Remember(next.line);
      absl::StrAppend(code, next.line, "\n");
    } while (!IsWhole(*code));
    return LineSource::Event::kLine;
  }

  // As the interpreter itself sees it, but that a block goes on until an empty line; as we do, where
  // it does not answer.
  bool IsWhole(const std::string& code) {
    v1::CheckCompleteRequest request;
    request.set_interpreter(sandbox_);
    request.set_code(code);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCheckTimeout);
    v1::CheckCompleteResponse response;
    const grpc::Status status = server_.interpreters->CheckComplete(&context, request, &response);
    if (!status.ok()) return IsWholeInput(code);
    if (response.status() == v1::CheckCompleteResponse::STATUS_COMPLETE) return !IsOpenBlock(code);
    return response.status() == v1::CheckCompleteResponse::STATUS_INVALID;
  }

  grpc::Status Execute(const std::string& code) {
    v1::ExecuteRequest request;
    request.set_interpreter(sandbox_);
    request.set_allow_input(true);
    request.mutable_program()->set_code(code);
    request.mutable_program()->set_return_value(true);
    ExecutionView view(fds_, /*collect=*/false);
    client::ExecutionFollower follower(server_.executions, server_.reattach);
    InterruptLadder ladder(server_.executions, &follower);
    // Typed while code runs, it is the code's; at the prompt the line's.
    auto ctrl_c = std::make_unique<SignalWatcher>(SIGINT, [&] { (void)ladder.Climb(); });
    const grpc::Status status = follower.Execute(request, [&](const v1::ExecutionEvent& event) {
      if (event.has_input_request()) {
        ctrl_c.reset();
        Answer(follower.execution(), event.input_request());
        ctrl_c = std::make_unique<SignalWatcher>(SIGINT, [&] { (void)ladder.Climb(); });
      } else if (!view.Show(event)) {
        exit_code_ = OutputFailed(fds_);
        follower.Cancel();
      }
    });
    if (exit_code_.has_value()) return grpc::Status::OK;
    if (!status.ok()) return status;
    const v1::Outcome& outcome = view.finished().outcome();
    if (!view.ShowValue()) exit_code_ = OutputFailed(fds_);
    // As Python does, whose prompt this stands for.
    if (outcome.kind() == v1::Outcome::KIND_EXITED) exit_code_ = outcome.exit_code();
    // Exceptions are on stderr already.
    const bool is_told =
        outcome.kind() == v1::Outcome::KIND_SUCCEEDED ||
        (outcome.kind() == v1::Outcome::KIND_EXITED && outcome.state_preserved()) ||
        outcome.kind() == v1::Outcome::KIND_RAISED ||
        (outcome.kind() == v1::Outcome::KIND_INTERRUPTED && outcome.has_exception());
    if (!is_told) view.Tell(OutcomeText(outcome));
    return grpc::Status::OK;
  }

  void Answer(const std::string& execution, const v1::InputRequest& asked) {
    if (asked.is_password()) lines_->HideNext();
    const LineSource::Result typed = lines_->Next(asked.prompt());
    grpc::ClientContext context;
    if (typed.event == LineSource::Event::kInterrupted) {
      v1::InterruptExecutionRequest request;
      request.set_execution(execution);
      v1::InterruptExecutionResponse response;
      // The end is told by the stream; it must not be waited for here.
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(100));
      (void)server_.executions->InterruptExecution(&context, request, &response);
      return;
    }
    v1::SendInputRequest request;
    request.set_execution(execution);
    request.set_request_number(asked.number());
    if (typed.event == LineSource::Event::kLine) {
      request.set_text(typed.line);
    } else {
      request.set_end_of_file(true);
    }
    v1::SendInputResponse response;
    const grpc::Status status = server_.executions->SendInput(&context, request, &response);
    if (!status.ok()) Complain(fds_.err, ErrorText(server_, status));
  }

  // Named by itself, not by its sandbox.
  bool IsFurtherInterpreter() const { return sandbox_.find("/interpreters/") != sandbox_.npos; }

  bool Restart() {
    if (IsFurtherInterpreter()) {
      if (RestartInterpreter(server_, sandbox_, fds_) != kExitOk) return false;
      Complain(fds_.err, "the interpreter was restarted; its variables are gone");
      return true;
    }
    if (RestartSandbox(server_, sandbox_, fds_) != kExitOk) return false;
    Complain(fds_.err, "the sandbox was restarted; its variables and files are gone");
    return true;
  }

  const Server& server_;
  const std::string sandbox_;
  const OutputFds fds_;
  const std::unique_ptr<LineSource> lines_;
  std::optional<int> exit_code_;  // the program's own, or that of output nobody takes
};

// Calls `end` when the process is told to end, and ends it. As nohup(1) wants it, not for a signal that is ignored.
class EndWatcher {
 public:
  EndWatcher(int signal, const std::function<void()>& end) {
    struct sigaction action;
    if (::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) return;
    watcher_.emplace(signal, [signal, end] {
      end();
      ::_exit(128 + signal);
    });
  }

 private:
  std::optional<SignalWatcher> watcher_;
};

}  // namespace

int RunRepl(const Server& server, const ReplOptions& options, OutputFds fds) {
  if (!options.sandbox.empty()) return Repl(server, options.sandbox, fds).Run();
  // Told by write(2): the sandbox is still to be ended.
  std::signal(SIGPIPE, SIG_IGN);
  termios shown;
  const bool is_terminal = ::tcgetattr(STDIN_FILENO, &shown) == 0;
  v1::CreateSandboxRequest request;
  request.set_template_(options.template_name);
  grpc::ClientContext context;
  v1::CreateSandboxResponse response;
  const grpc::Status status = server.sandboxes->CreateSandbox(&context, request, &response);
  if (!status.ok()) return Refused(server, status, fds);
  const std::string& name = response.sandbox().name();
  const auto end = [&] {
    (void)RemoveSandboxes(server, {name}, fds);
    if (is_terminal) ::tcsetattr(STDIN_FILENO, TCSANOW, &shown);
  };
  const EndWatcher hang_up(SIGHUP, end);
  const EndWatcher termination(SIGTERM, end);
  const int code = Repl(server, name, fds).Run();
  (void)RemoveSandboxes(server, {name}, fds);
  return code;
}

}  // namespace cloister::cli
