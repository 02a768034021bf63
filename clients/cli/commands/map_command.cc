#include <csignal>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/outcome_text.h"
#include "clients/cli/commands/reply.h"
#include "clients/cli/commands/signal_watcher.h"
#include "clients/cli/commands/units.h"
#include "clients/cli/commands/value_json.h"
#include "clients/cli/commands/value_text.h"
#include "google/rpc/error_details.pb.h"

namespace cloister::cli {
namespace {

// One line of inputs: an object is variables, an array the arguments of the call, text standard
// input.
absl::Status AddInput(absl::string_view line, v1::MapCodeRequest* request) {
  absl::StatusOr<v1::Value> value = ValueFromJson(line);
  if (!value.ok()) return value.status();
  v1::MapInput& input = *request->add_inputs();
  switch (value->kind_case()) {
    case v1::Value::kDictValue: {
      v1::Entries& entries = *value->mutable_dict_value();
      for (int i = 0; i < entries.keys_size(); ++i) {
        (*input.mutable_variables())[entries.keys(i).string_value()] =
            std::move(*entries.mutable_values(i));
      }
      return absl::OkStatus();
    }
    case v1::Value::kListValue:
      if (!request->program().has_call()) {
        return absl::InvalidArgumentError(
            "is an array, the arguments of a call; add --call FUNCTION");
      }
      *input.mutable_arguments() = std::move(*value->mutable_list_value()->mutable_items());
      return absl::OkStatus();
    case v1::Value::kStringValue:
      input.set_stdin(std::move(*value->mutable_string_value()));
      return absl::OkStatus();
    default:
      return absl::InvalidArgumentError(
          "is neither an object (variables), nor an array (arguments of --call), nor a string "
          "(standard input)");
  }
}

absl::StatusOr<v1::MapCodeRequest> BuildMapRequest(const MapOptions& options) {
  // The inputs may be typed.
  const SignalUnblocked ctrl_c(SIGINT);
  if (options.program.source == "-" && options.inputs == "-") {
    return absl::InvalidArgumentError(
        "standard input cannot be both the program and --inputs; give one of them as a file");
  }
  absl::StatusOr<v1::ExecuteRequest> run = BuildExecuteRequest(options.program);
  if (!run.ok()) return run.status();
  absl::StatusOr<std::string> text = ReadInput(options.inputs);
  if (!text.ok()) return text.status();
  v1::MapCodeRequest request;
  request.set_template_(run->template_());
  *request.mutable_program() = std::move(*run->mutable_program());
  *request.mutable_limits() = std::move(*run->mutable_limits());
  request.set_concurrency(options.concurrency);
  request.set_stop_on_failure(options.stop_on_failure);
  if (options.by_completion) request.set_order(v1::MapCodeRequest::ORDER_COMPLETION);
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    ++number;
    if (line.find_first_not_of(" \t\r") == absl::string_view::npos) continue;
    if (absl::Status added = AddInput(line, &request); !added.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--inputs, line ", number, ": ", added.message()));
    }
  }
  return request;
}

std::string VerdictLine(const v1::MapVerdict& verdict) {
  nlohmann::ordered_json line;
  line["index"] = verdict.index();
  if (verdict.has_error()) {
    line["error"] = verdict.error().message();
    for (const auto& detail : verdict.error().details()) {
      google::rpc::ErrorInfo info;
      if (detail.UnpackTo(&info)) line["reason"] = info.reason();
    }
    return line.dump() + "\n";
  }
  const v1::Outcome& outcome = verdict.outcome();
  line["outcome"] = KindName(outcome.kind());
  if (outcome.kind() == v1::Outcome::KIND_EXITED) line["exit_code"] = outcome.exit_code();
  if (outcome.has_exception()) line["message"] = outcome.exception().message();
  if (outcome.has_value()) line["value"] = ValueText(outcome.value());
  SetBytes(&line, "stdout", verdict.stdout());
  SetBytes(&line, "stderr", verdict.stderr());
  line["wall_seconds"] = absl::ToDoubleSeconds(FromProto(outcome.usage().wall_time()));
  return line.dump() + "\n";
}

}  // namespace

int MapProgram(const Server& server, const MapOptions& options, OutputFds fds) {
  const absl::StatusOr<v1::MapCodeRequest> request = BuildMapRequest(options);
  if (!request.ok()) {
    Complain(fds.err, absl::StrCat("map: ", request.status().message()));
    return kExitUsage;
  }
  grpc::ClientContext context;
  const SignalWatcher ctrl_c(SIGINT, [&] { context.TryCancel(); });
  const auto reader = server.executions->MapCode(&context, *request);
  v1::MapCodeResponse response;
  v1::MapSummary summary;
  int unwritten = kExitOk;
  while (reader->Read(&response)) {
    if (response.has_summary()) summary = response.summary();
    if (!response.has_verdict() || unwritten != kExitOk) continue;
    if (WriteAll(fds.out, VerdictLine(response.verdict()))) continue;
    unwritten = OutputFailed(fds);
    context.TryCancel();
  }
  const grpc::Status status = reader->Finish();
  if (unwritten != kExitOk) return unwritten;
  if (status.error_code() == grpc::StatusCode::CANCELLED) return kExitInterrupted;
  if (!status.ok()) return Refused(server, status, fds);
  if (!options.quiet) {
    Complain(fds.err,
             absl::StrCat(summary.succeeded_count(), " succeeded, ", summary.failed_count(),
                          " failed, ", summary.skipped_count(), " not run"));
  }
  return summary.failed_count() == 0 ? kExitOk : kExitRaised;
}

}  // namespace cloister::cli
