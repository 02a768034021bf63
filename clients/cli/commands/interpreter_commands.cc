#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/outcome_text.h"
#include "clients/cli/commands/reply.h"
#include "clients/cli/commands/units.h"

namespace cloister::cli {
namespace {

std::string ProfileOf(const v1::Interpreter& interpreter) {
  return LowerName(v1::Interpreter::Profile_Name(interpreter.profile()), "PROFILE_");
}

std::string StateOf(const v1::Interpreter& interpreter) {
  return LowerName(v1::Interpreter::State_Name(interpreter.state()), "STATE_");
}

// One line of a list.
std::string Line(const v1::Interpreter& interpreter, size_t name_width) {
  std::string line = absl::StrFormat("%-*s  %-10s  %-8s  %d executions", static_cast<int>(name_width), interpreter.name(),
                                     ProfileOf(interpreter), StateOf(interpreter),
                                     interpreter.execution_count());
  if (interpreter.memory_bytes() > 0) {
    absl::StrAppend(&line, ", holds ", SizeText(interpreter.memory_bytes()));
  }
  if (interpreter.has_loss()) absl::StrAppend(&line, ", ", LossText(interpreter.loss()));
  return line + "\n";
}

std::string Details(const v1::Interpreter& interpreter) {
  std::string text;
  const auto add = [&text](absl::string_view name, const std::string& value) {
    AppendRow(name, value, &text);
  };
  add("name", interpreter.name());
  add("profile", ProfileOf(interpreter));
  add("because", interpreter.profile_reason());
  add("state", StateOf(interpreter));
  if (interpreter.has_loss()) add("lost", LossText(interpreter.loss()));
  add("created", TimeText(interpreter.create_time()));
  if (interpreter.memory_limit_bytes() > 0) {
    add("memory limit", SizeText(interpreter.memory_limit_bytes()));
  }
  if (interpreter.peak_memory_bytes() > 0) {
    add("memory", absl::StrCat(SizeText(interpreter.memory_bytes()), ", at most ",
                               SizeText(interpreter.peak_memory_bytes())));
  }
  add("runs", interpreter.current_execution());
  add("queued", absl::StrCat(interpreter.queued_execution_count()));
  add("executions", absl::StrCat(interpreter.execution_count()));
  add("restarts", absl::StrCat(interpreter.restart_count()));
  return text;
}

// The environment is given as to `run`.
absl::StatusOr<v1::CreateInterpreterRequest> BuildRequest(const CreateInterpreterOptions& options) {
  RunOptions program = options.program;
  program.code = "";
  absl::StatusOr<v1::ExecuteRequest> parts = BuildExecuteRequest(program);
  if (!parts.ok()) return parts.status();
  v1::CreateInterpreterRequest request;
  request.set_request_id(parts->request_id());
  request.mutable_environment()->swap(*parts->mutable_program()->mutable_environment());
  request.set_sandbox(options.sandbox);
  request.set_interpreter_id(options.id);
  request.mutable_imports()->Add(options.imports.begin(), options.imports.end());
  v1::Interpreter::Profile profile = v1::Interpreter::PROFILE_UNSPECIFIED;
  const std::string name = absl::StrCat("PROFILE_", absl::AsciiStrToUpper(options.profile));
  if (options.profile != "auto" && !v1::Interpreter::Profile_Parse(name, &profile)) {
    return absl::InvalidArgumentError(absl::StrCat("--profile: there is no ", options.profile));
  }
  request.set_profile(profile);
  if (!options.memory.empty()) {
    const absl::StatusOr<int64_t> bytes = ParseSize(options.memory);
    if (!bytes.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--memory: ", bytes.status().message()));
    }
    request.set_memory_limit_bytes(*bytes);
  }
  return request;
}

}  // namespace

int CreateInterpreter(const Server& server, const CreateInterpreterOptions& options,
                      OutputFds fds) {
  const absl::StatusOr<v1::CreateInterpreterRequest> request = BuildRequest(options);
  if (!request.ok()) {
    Complain(fds.err, absl::StrCat("interp create: ", request.status().message()));
    return kExitUsage;
  }
  grpc::ClientContext context;
  v1::CreateInterpreterResponse response;
  const grpc::Status status =
      server.interpreters->CreateInterpreter(&context, *request, &response);
  if (!status.ok()) return Refused(server, status, fds);
  return options.json ? Print(JsonText(response.interpreter()), fds)
                      : PrintMade({response.interpreter().name()}, fds);
}

int ListInterpreters(const Server& server, const std::string& sandbox, bool json, OutputFds fds) {
  v1::ListInterpretersRequest request;
  request.set_sandbox(sandbox);
  grpc::ClientContext context;
  v1::ListInterpretersResponse response;
  const grpc::Status status = server.interpreters->ListInterpreters(&context, request, &response);
  if (!status.ok()) return Refused(server, status, fds);
  if (json) return Print(JsonText(response), fds);
  size_t width = 0;
  for (const v1::Interpreter& entry : response.interpreters()) {
    width = std::max(width, entry.name().size());
  }
  std::string text;
  for (const v1::Interpreter& entry : response.interpreters()) {
    absl::StrAppend(&text, Line(entry, width));
  }
  return Print(text, fds);
}

int ShowInterpreter(const Server& server, const std::string& name, bool json, OutputFds fds) {
  v1::GetInterpreterRequest request;
  request.set_name(name);
  grpc::ClientContext context;
  v1::GetInterpreterResponse response;
  const grpc::Status status = server.interpreters->GetInterpreter(&context, request, &response);
  if (!status.ok()) return Refused(server, status, fds);
  return Print(json ? JsonText(response.interpreter()) : Details(response.interpreter()), fds);
}

int RestartInterpreter(const Server& server, const std::string& name, OutputFds fds) {
  v1::RestartInterpreterRequest request;
  request.set_name(name);
  grpc::ClientContext context;
  v1::RestartInterpreterResponse response;
  const grpc::Status status = server.interpreters->RestartInterpreter(&context, request, &response);
  return status.ok() ? kExitOk : Refused(server, status, fds);
}

int RemoveInterpreters(const Server& server, const std::vector<std::string>& names, OutputFds fds) {
  int code = kExitOk;
  for (const std::string& name : names) {
    v1::DeleteInterpreterRequest request;
    request.set_name(name);
    grpc::ClientContext context;
    v1::DeleteInterpreterResponse response;
    const grpc::Status status =
        server.interpreters->DeleteInterpreter(&context, request, &response);
    if (!status.ok()) code = Refused(server, status, fds);
    for (const std::string& lost : response.lost_interpreters()) {
      Complain(fds.err, absl::StrCat(name, " did not end and was killed; lost with it: ", lost));
    }
  }
  return code;
}

}  // namespace cloister::cli
