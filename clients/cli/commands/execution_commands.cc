#include <cerrno>
#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/interrupt_ladder.h"
#include "clients/cli/commands/outcome_text.h"
#include "clients/cli/commands/reply.h"
#include "clients/cli/commands/signal_watcher.h"
#include "clients/cli/commands/units.h"

namespace cloister::cli {
namespace {

std::string LostStreamText(const grpc::Status& status, absl::Duration delay) {
  return absl::StrCat(
      "lost the stream",
      status.error_message().empty() ? "" : absl::StrCat(" (", status.error_message(), ")"),
      "; attaching again in ", absl::FormatDuration(delay));
}

std::string Store(const Fetch& fetch, const v1::ReturnedFile& file, OutputFds fds) {
  if (!file.error().empty()) return file.error();
  if (fetch.local != "-") return std::string(WriteFile(fetch.local, file.content()).message());
  return WriteAll(fds.out, file.content()) ? "" : std::system_category().message(errno);
}

// Puts returned files where they were asked for. False where one is missing or cannot be written.
bool StoreFiles(const std::vector<Fetch>& fetches, ExecutionView* view, OutputFds fds) {
  // Nobody may ever read a FIFO.
  const SignalUnblocked ctrl_c(SIGINT);
  bool complete = true;
  for (const Fetch& fetch : fetches) {
    std::string problem = "the program did not end by itself, so no file came back";
    for (const v1::ReturnedFile& file : view->finished().files()) {
      if (file.path() != fetch.path) continue;
      problem = Store(fetch, file, fds);
      break;
    }
    if (problem.empty()) continue;
    view->Tell(absl::StrCat("--fetch ", fetch.path, ": ", problem));
    complete = false;
  }
  return complete;
}

// The end of a followed execution, for people or as JSON. The exit code.
int ShowEnd(ExecutionView* view, bool json, bool quiet, OutputFds fds) {
  const v1::Outcome& outcome = view->finished().outcome();
  const int code = ExitCodeFor(outcome);
  const bool written =
      json ? WriteAll(fds.out, ResultJson(view->started(), view->finished(), view->collected()).dump(2) + "\n")
           : view->ShowValue();
  const int output = written ? kExitOk : OutputFailed(fds);
  if (!json && !quiet && IsWorthALine(outcome)) view->Tell(OutcomeText(outcome));
  return code == kExitOk ? output : code;
}

// Starts the program, tells its name and leaves it to itself.
int RunDetached(const Server& server, const v1::ExecuteRequest& request, OutputFds fds) {
  client::ExecutionFollower follower(server.executions, server.reattach);
  const grpc::Status status =
      follower.Execute(request, [&](const v1::ExecutionEvent&) { follower.Cancel(); });
  if (follower.execution().empty()) return Refused(server, status, fds);
  return PrintMade({follower.execution()}, fds);
}

// Shows what `follow` delivers. The exit code, where it did not come to the end.
std::optional<int> Follow(
    const Server& server, bool quiet, OutputFds fds, client::ExecutionFollower* follower,
    ExecutionView* view,
    const std::function<grpc::Status(const client::ExecutionFollower::EventCallback&)>& follow) {
  int unwritten = kExitOk;
  follower->set_on_lost([&](const grpc::Status& status, absl::Duration delay) {
    if (!quiet) view->Tell(LostStreamText(status, delay));
  });
  const grpc::Status status = follow([&](const v1::ExecutionEvent& event) {
    if (view->Show(event)) return;
    unwritten = OutputFailed(fds);
    follower->Cancel();
  });
  if (unwritten != kExitOk) return unwritten;
  if (status.error_code() == grpc::StatusCode::CANCELLED) return kExitInterrupted;
  if (!status.ok()) return Refused(server, status, fds);
  return std::nullopt;
}

absl::StatusOr<v1::ExecuteRequest> ReadRequest(const RunOptions& options) {
  // The program may be typed.
  const SignalUnblocked ctrl_c(SIGINT);
  return BuildExecuteRequest(options);
}

}  // namespace

int RunProgram(const Server& server, const RunOptions& options, OutputFds fds) {
  const absl::StatusOr<v1::ExecuteRequest> request = ReadRequest(options);
  if (!request.ok()) {
    Complain(fds.err, absl::StrCat(options.interpreter.empty() ? "run: " : "exec: ",
                                   request.status().message()));
    return kExitUsage;
  }
  if (options.detach) return RunDetached(server, *request, fds);

  ExecutionView view(fds, options.json);
  client::ExecutionFollower follower(server.executions, server.reattach);
  InterruptLadder ladder(server.executions, &follower);
  const SignalWatcher ctrl_c(SIGINT, [&] { view.Tell(ladder.Climb()); });
  const std::optional<int> failed = Follow(
      server, options.quiet, fds, &follower, &view,
      [&](const auto& on_event) { return follower.Execute(*request, on_event); });
  if (failed.has_value()) return *failed;

  const int code = ShowEnd(&view, options.json, options.quiet, fds);
  const absl::StatusOr<std::vector<Fetch>> fetches = ParseFetches(options.fetches);
  const bool stored = !fetches.ok() || StoreFiles(*fetches, &view, fds);
  return code == kExitOk && !stored ? kExitInputOutput : code;
}

int AttachProgram(const Server& server, const AttachOptions& options, OutputFds fds) {
  ExecutionView view(fds, options.json);
  client::ExecutionFollower follower(server.executions, server.reattach);
  const std::optional<int> failed =
      Follow(server, options.quiet, fds, &follower, &view, [&](const auto& on_event) {
        return follower.Attach(options.execution, options.after_sequence, on_event);
      });
  return failed.has_value() ? *failed : ShowEnd(&view, options.json, options.quiet, fds);
}

int InterruptProgram(const Server& server, const InterruptOptions& options, OutputFds fds) {
  v1::InterruptExecutionRequest request;
  request.set_execution(options.execution);
  if (options.grace == "0") {
    request.mutable_grace();
  } else if (!options.grace.empty()) {
    const absl::StatusOr<absl::Duration> grace = ParseDuration(options.grace);
    if (!grace.ok()) {
      Complain(fds.err, absl::StrCat("interrupt: --grace: ", grace.status().message()));
      return kExitUsage;
    }
    *request.mutable_grace() = ToProto(*grace);
  }
  grpc::ClientContext context;
  v1::InterruptExecutionResponse response;
  const grpc::Status status = server.executions->InterruptExecution(&context, request, &response);
  if (!status.ok()) return Refused(server, status, fds);
  return Print(OutcomeText(response.outcome()) + "\n", fds);
}

}  // namespace cloister::cli
