#include <csignal>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/interrupt_ladder.h"
#include "clients/cli/commands/outcome_text.h"
#include "clients/cli/commands/signal_watcher.h"
#include "clients/cli/commands/units.h"
#include "clients/cpp/service_error.h"

namespace cloister::cli {
namespace {

void TellLoss(int fd, const grpc::Status& status, absl::Duration delay) {
  Complain(
      fd, absl::StrCat(
              "lost the stream",
              status.error_message().empty() ? "" : absl::StrCat(" (", status.error_message(), ")"),
              "; attaching again in ", absl::FormatDuration(delay)));
}

int Refused(const Server& server, const grpc::Status& status, OutputFds fds) {
  Complain(fds.err, client::ErrorText(client::ParseServiceError(status), server.address));
  return ExitCodeFor(status);
}

// Puts returned files where they were asked for. False where one is missing or cannot be written.
bool StoreFiles(const std::vector<Fetch>& fetches, const v1::Finished& finished, OutputFds fds) {
  bool complete = true;
  for (const Fetch& fetch : fetches) {
    std::string problem = "the program did not end by itself, so no file came back";
    for (const v1::ReturnedFile& file : finished.files()) {
      if (file.path() != fetch.path) continue;
      problem = file.error();
      if (problem.empty()) problem = std::string(WriteFile(fetch.local, file.content()).message());
      break;
    }
    if (problem.empty()) continue;
    Complain(fds.err, absl::StrCat("--fetch ", fetch.path, ": ", problem));
    complete = false;
  }
  return complete;
}

// The end of a followed execution, for people or as JSON.
bool ShowEnd(const ExecutionView& view, bool json, bool quiet, OutputFds fds) {
  const v1::Outcome& outcome = view.finished().outcome();
  if (json) {
    const auto result = ResultJson(view.started(), view.finished(), view.collected_stdout(),
                                   view.collected_stderr());
    return WriteAll(fds.out, result.dump(2) + "\n");
  }
  const bool written = !outcome.has_value() || WriteAll(fds.out, outcome.value().text() + "\n");
  if (!quiet && IsWorthALine(outcome)) Complain(fds.err, OutcomeText(outcome));
  return written;
}

// Starts the program, tells its name and leaves it to itself.
int RunDetached(const Server& server, const v1::ExecuteRequest& request, OutputFds fds) {
  client::ExecutionFollower follower(server.executions, server.reattach);
  const grpc::Status status =
      follower.Execute(request, [&](const v1::ExecutionEvent&) { follower.Cancel(); });
  if (follower.execution().empty()) return Refused(server, status, fds);
  return WriteAll(fds.out, follower.execution() + "\n") ? kExitOk : kExitInputOutput;
}

}  // namespace

int RunProgram(const Server& server, const RunOptions& options, OutputFds fds) {
  const absl::StatusOr<v1::ExecuteRequest> request = BuildExecuteRequest(options);
  if (!request.ok()) {
    Complain(fds.err, absl::StrCat("run: ", request.status().message()));
    return kExitUsage;
  }
  if (options.detach) return RunDetached(server, *request, fds);

  ExecutionView view(fds, options.json);
  bool reader_gone = false;
  client::ExecutionFollower follower(server.executions, server.reattach);
  follower.set_on_lost([&](const grpc::Status& status, absl::Duration delay) {
    if (!options.quiet) TellLoss(fds.err, status, delay);
  });
  InterruptLadder ladder(server.executions, &follower);
  const SignalWatcher ctrl_c(SIGINT, [&] { Complain(fds.err, ladder.Climb()); });
  const grpc::Status status = follower.Execute(*request, [&](const v1::ExecutionEvent& event) {
    if (view.Show(event)) return;
    reader_gone = true;
    follower.Cancel();
  });
  if (reader_gone) return kExitInputOutput;
  if (status.error_code() == grpc::StatusCode::CANCELLED) return kExitInterrupted;
  if (!status.ok()) return Refused(server, status, fds);

  const bool shown = ShowEnd(view, options.json, options.quiet, fds);
  const absl::StatusOr<std::vector<Fetch>> fetches = ParseFetches(options.fetches);
  const bool stored = !fetches.ok() || StoreFiles(*fetches, view.finished(), fds);
  const int code = ExitCodeFor(view.finished().outcome());
  return code == kExitOk && !(shown && stored) ? kExitInputOutput : code;
}

int AttachProgram(const Server& server, const AttachOptions& options, OutputFds fds) {
  ExecutionView view(fds, options.json);
  bool reader_gone = false;
  client::ExecutionFollower follower(server.executions, server.reattach);
  follower.set_on_lost([&](const grpc::Status& status, absl::Duration delay) {
    if (!options.quiet) TellLoss(fds.err, status, delay);
  });
  const grpc::Status status = follower.Attach(options.execution, options.after_sequence,
                                              [&](const v1::ExecutionEvent& event) {
                                                if (view.Show(event)) return;
                                                reader_gone = true;
                                                follower.Cancel();
                                              });
  if (reader_gone) return kExitInputOutput;
  if (!status.ok()) return Refused(server, status, fds);
  const bool shown = ShowEnd(view, options.json, options.quiet, fds);
  const int code = ExitCodeFor(view.finished().outcome());
  return code == kExitOk && !shown ? kExitInputOutput : code;
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
  return WriteAll(fds.out, OutcomeText(response.outcome()) + "\n") ? kExitOk : kExitInputOutput;
}

}  // namespace cloister::cli
