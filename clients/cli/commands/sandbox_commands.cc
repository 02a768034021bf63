#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "clients/cli/commands/commands.h"
#include "clients/cli/commands/exit_code.h"
#include "clients/cli/commands/reply.h"
#include "clients/cli/commands/units.h"

namespace cloister::cli {
namespace {

// One line of a list.
std::string Line(const v1::Sandbox& sandbox) {
  return absl::StrFormat("%s  %-8s  %-16s  %d executions, ends in %s\n", sandbox.name(),
                         LowerName(v1::Sandbox::State_Name(sandbox.state()), "STATE_"),
                         sandbox.template_(), sandbox.execution_count(),
                         LeftText(sandbox.expire_time()));
}

std::string Details(const v1::Sandbox& sandbox) {
  std::string text;
  const auto add = [&text](absl::string_view name, const std::string& value) {
    AppendRow(name, value, &text);
  };
  add("name", sandbox.name());
  add("state", LowerName(v1::Sandbox::State_Name(sandbox.state()), "STATE_"));
  if (sandbox.has_loss()) add("lost", LossText(sandbox.loss()));
  add("template", sandbox.template_());
  add("snapshot", sandbox.snapshot());
  add("parent", sandbox.parent());
  add("start", LowerName(v1::StartKind_Name(sandbox.start_kind()), "START_KIND_"));
  add("created", TimeText(sandbox.create_time()));
  add("ends in", LeftText(sandbox.expire_time()));
  if (sandbox.has_idle_expire_time()) add("idle ends in", LeftText(sandbox.idle_expire_time()));
  add("runs", sandbox.current_execution());
  add("queued", absl::StrCat(sandbox.queued_execution_count()));
  add("executions", absl::StrCat(sandbox.execution_count()));
  add("restarts", absl::StrCat(sandbox.restart_count()));
  AppendLimits(sandbox.limits(), &text);
  return text;
}

int Show(const v1::Sandbox& sandbox, bool json, OutputFds fds) {
  return Print(json ? JsonText(sandbox) : Details(sandbox), fds);
}

absl::Status SetDuration(const std::string& text, const char* option,
                         google::protobuf::Duration* (v1::CreateSandboxRequest::*field)(),
                         v1::CreateSandboxRequest* request) {
  if (text.empty()) return absl::OkStatus();
  const absl::StatusOr<absl::Duration> duration = ParseDuration(text);
  if (!duration.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(option, ": ", duration.status().message()));
  }
  *(request->*field)() = ToProto(*duration);
  return absl::OkStatus();
}

// Limits, environment and files are given as to `run`.
absl::StatusOr<v1::CreateSandboxRequest> BuildRequest(const CreateSandboxOptions& options) {
  RunOptions program = options.program;
  program.code = "";
  absl::StatusOr<v1::ExecuteRequest> parts = BuildExecuteRequest(program);
  if (!parts.ok()) return parts.status();
  v1::CreateSandboxRequest request;
  request.set_request_id(parts->request_id());
  request.set_template_(parts->template_());
  request.set_snapshot(options.snapshot);
  request.mutable_limits()->Swap(parts->mutable_limits());
  request.mutable_environment()->swap(*parts->mutable_program()->mutable_environment());
  request.mutable_files()->Swap(parts->mutable_program()->mutable_files());
  absl::Status times =
      SetDuration(options.ttl, "--ttl", &v1::CreateSandboxRequest::mutable_ttl, &request);
  times.Update(SetDuration(options.idle_timeout, "--idle-timeout",
                           &v1::CreateSandboxRequest::mutable_idle_timeout, &request));
  if (!times.ok()) return times;
  return request;
}

}  // namespace

int CreateSandbox(const Server& server, const CreateSandboxOptions& options, OutputFds fds) {
  const absl::StatusOr<v1::CreateSandboxRequest> request = BuildRequest(options);
  if (!request.ok()) {
    Complain(fds.err, absl::StrCat("sandbox create: ", request.status().message()));
    return kExitUsage;
  }
  grpc::ClientContext context;
  v1::CreateSandboxResponse response;
  const grpc::Status status = server.sandboxes->CreateSandbox(&context, *request, &response);
  if (!status.ok()) return Refused(server, status, fds);
  if (!options.json) return PrintMade({response.sandbox().name()}, fds);
  const int code = Show(response.sandbox(), true, fds);
  if (code != kExitOk) Complain(fds.err, absl::StrCat("made ", response.sandbox().name()));
  return code;
}

int ListSandboxes(const Server& server, bool json, OutputFds fds) {
  v1::ListSandboxesRequest request;
  v1::ListSandboxesResponse all;
  do {
    grpc::ClientContext context;
    v1::ListSandboxesResponse page;
    const grpc::Status status = server.sandboxes->ListSandboxes(&context, request, &page);
    if (!status.ok()) return Refused(server, status, fds);
    request.set_page_token(page.next_page_token());
    all.mutable_sandboxes()->MergeFrom(page.sandboxes());
  } while (!request.page_token().empty());
  if (json) return Print(JsonText(all), fds);
  std::string text;
  for (const v1::Sandbox& sandbox : all.sandboxes()) absl::StrAppend(&text, Line(sandbox));
  return Print(text, fds);
}

int ShowSandbox(const Server& server, const std::string& name, bool json, OutputFds fds) {
  v1::GetSandboxRequest request;
  request.set_name(name);
  grpc::ClientContext context;
  v1::GetSandboxResponse response;
  const grpc::Status status = server.sandboxes->GetSandbox(&context, request, &response);
  if (!status.ok()) return Refused(server, status, fds);
  return Show(response.sandbox(), json, fds);
}

int RestartSandbox(const Server& server, const std::string& name, OutputFds fds) {
  v1::RestartSandboxRequest request;
  request.set_name(name);
  grpc::ClientContext context;
  v1::RestartSandboxResponse response;
  const grpc::Status status = server.sandboxes->RestartSandbox(&context, request, &response);
  return status.ok() ? kExitOk : Refused(server, status, fds);
}

int ForkSandbox(const Server& server, const std::string& name, int count, OutputFds fds) {
  v1::ForkSandboxRequest request;
  request.set_name(name);
  request.set_count(count);
  grpc::ClientContext context;
  v1::ForkSandboxResponse response;
  const grpc::Status status = server.sandboxes->ForkSandbox(&context, request, &response);
  if (!status.ok()) return Refused(server, status, fds);
  std::vector<std::string> names;
  for (const v1::Sandbox& fork : response.sandboxes()) names.push_back(fork.name());
  return PrintMade(names, fds);
}

int RemoveSandboxes(const Server& server, const std::vector<std::string>& names, OutputFds fds) {
  int code = kExitOk;
  for (const std::string& name : names) {
    const char* kind = absl::StartsWith(name, "snapshots/")           ? "snapshot"
                       : absl::StrContains(name, "/interpreters/") ? "interp"
                                                                      : nullptr;
    if (kind != nullptr) {
      Complain(fds.err, absl::StrCat(name, ": is no sandbox; `cloister ", kind, " rm` removes it"));
      code = kExitUsage;
      continue;
    }
    v1::DeleteSandboxRequest request;
    request.set_name(name);
    grpc::ClientContext context;
    v1::DeleteSandboxResponse response;
    const grpc::Status status = server.sandboxes->DeleteSandbox(&context, request, &response);
    if (!status.ok()) code = Refused(server, status, fds);
  }
  return code;
}

}  // namespace cloister::cli
