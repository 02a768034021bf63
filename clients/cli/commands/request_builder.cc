#include "clients/cli/commands/request_builder.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "clients/cli/commands/local_file.h"
#include "clients/cli/commands/remote_path.h"
#include "clients/cli/commands/units.h"
#include "clients/cli/commands/utf8.h"
#include "clients/cli/commands/value_json.h"

namespace cloister::cli {
namespace {

using UniqueFile = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

absl::Status Prefixed(absl::string_view option, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(option, ": ", status.message()));
}

std::string BaseName(absl::string_view path) {
  const size_t slash = path.rfind('/');
  return std::string(slash == absl::string_view::npos ? path : path.substr(slash + 1));
}

// "A:B" at the last colon; B is empty where there is none.
std::pair<std::string, std::string> SplitAtLastColon(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return {text, ""};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

absl::Status CheckCombination(const RunOptions& options) {
  if (options.code && !options.source.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("both -c and \"", options.source,
                     "\" name a program; put the program's own arguments after --"));
  }
  if (!options.code && options.source.empty() && options.call.empty()) {
    return absl::InvalidArgumentError("no program; give a FILE, - for standard input, or -c CODE");
  }
  if (options.source == "-" && options.stdin_from == "-") {
    return absl::InvalidArgumentError(
        "standard input cannot be both the program and its --stdin; give one of them as a file");
  }
  if (options.detach &&
      (options.value || !options.call.empty() || options.json || !options.fetches.empty())) {
    return absl::InvalidArgumentError(
        "--detach does not wait for a result, so --value, --call, --json and --fetch have none to "
        "show");
  }
  for (const std::string& fetch : options.fetches) {
    if (options.json && absl::EndsWith(fetch, ":-")) {
      return absl::InvalidArgumentError(
          absl::StrCat("--fetch ", fetch, " and --json would both write to standard output"));
    }
  }
  return absl::OkStatus();
}

absl::Status AddCode(const RunOptions& options, v1::Program* program) {
  if (options.code) {
    program->set_code(*options.code);
    // As python -c; a live sandbox names its cells itself, so that tracebacks show each one's
    // lines.
    if (options.interpreter.empty()) program->set_file_name("<string>");
    return absl::OkStatus();
  }
  if (options.source.empty()) return absl::OkStatus();  // only a call
  absl::StatusOr<std::string> code = ReadInput(options.source);
  if (!code.ok()) return code.status();
  program->set_code(*std::move(code));
  program->set_file_name(options.source == "-" ? "<stdin>" : BaseName(options.source));
  return absl::OkStatus();
}

absl::Status AddEnvironment(const RunOptions& options, v1::Program* program) {
  for (const std::string& entry : options.environment) {
    const size_t equals = entry.find('=');
    const std::string name = entry.substr(0, equals);
    if (name.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--env \"", entry, "\" has no name; write --env NAME=VALUE"));
    }
    if (equals != std::string::npos) {
      (*program->mutable_environment())[name] = entry.substr(equals + 1);
      continue;
    }
    const char* own = std::getenv(name.c_str());
    if (own == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("--env ", name, ": not set here; write --env ", name, "=VALUE"));
    }
    if (!IsUtf8(own)) {
      return absl::InvalidArgumentError(absl::StrCat("--env ", name, ": its value is not UTF-8"));
    }
    (*program->mutable_environment())[name] = own;
  }
  return absl::OkStatus();
}

absl::Status AddFiles(const RunOptions& options, v1::Program* program) {
  for (const std::string& entry : options.files) {
    const auto [local, path] = SplitAtLastColon(entry);
    absl::StatusOr<std::string> content = ReadInput(local);
    if (!content.ok()) return Prefixed("--file", content.status());
    v1::File* file = program->add_files();
    file->set_path(path.empty() ? BaseName(local) : path);
    file->set_content(*std::move(content));
    file->set_executable(::access(local.c_str(), X_OK) == 0);
  }
  return absl::OkStatus();
}

// Splits "NAME=JSON".
absl::StatusOr<std::pair<std::string, v1::Value>> ParseNamed(const std::string& entry) {
  const size_t equals = entry.find('=');
  if (equals == 0 || equals == std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("\"", entry, "\" has no name; write NAME=JSON"));
  }
  absl::StatusOr<v1::Value> value = ValueFromJson(absl::string_view(entry).substr(equals + 1));
  if (!value.ok()) return value.status();
  return std::make_pair(entry.substr(0, equals), *std::move(value));
}

// Whether a "NAME=JSON" is meant: no JSON begins with a letter or '_' and then has a '='.
bool IsNamed(const std::string& entry) {
  const size_t equals = entry.find('=');
  return equals != std::string::npos && equals > 0 &&
         std::all_of(
             entry.begin(), entry.begin() + static_cast<std::ptrdiff_t>(equals),
             [](char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_'; });
}

absl::Status AddValues(const RunOptions& options, v1::Program* program) {
  for (const std::string& entry : options.variables) {
    absl::StatusOr<std::pair<std::string, v1::Value>> named = ParseNamed(entry);
    if (!named.ok()) return Prefixed("--set", named.status());
    if (program->variables().contains(named->first)) {
      return absl::InvalidArgumentError(absl::StrCat("--set ", named->first, ": given twice"));
    }
    (*program->mutable_variables())[named->first] = std::move(named->second);
  }
  if (options.call.empty()) {
    return options.call_args.empty()
               ? absl::OkStatus()
               : absl::InvalidArgumentError("--pass is for a call; write --call FUNCTION as well");
  }
  // For people Python's own text; typed for programs.
  if (!options.json) program->set_value_form(v1::VALUE_FORM_TEXT);
  v1::FunctionCall& call = *program->mutable_call();
  call.set_function(options.call);
  for (const std::string& entry : options.call_args) {
    if (IsNamed(entry)) {
      absl::StatusOr<std::pair<std::string, v1::Value>> named = ParseNamed(entry);
      if (!named.ok()) return Prefixed("--pass", named.status());
      if (call.keyword_arguments().contains(named->first)) {
        return absl::InvalidArgumentError(absl::StrCat("--pass ", named->first, ": given twice"));
      }
      (*call.mutable_keyword_arguments())[named->first] = std::move(named->second);
      continue;
    }
    absl::StatusOr<v1::Value> value = ValueFromJson(entry);
    if (!value.ok()) return Prefixed("--pass", value.status());
    *call.add_arguments() = *std::move(value);
  }
  return absl::OkStatus();
}

absl::Status AddStdin(const RunOptions& options, v1::Program* program) {
  if (options.stdin_from.empty()) return absl::OkStatus();
  absl::StatusOr<std::string> input = ReadInput(options.stdin_from);
  if (!input.ok()) return Prefixed("--stdin", input.status());
  program->set_stdin(*std::move(input));
  return absl::OkStatus();
}

absl::Status AddTimes(const RunOptions& options, v1::Limits* limits) {
  if (!options.wall.empty()) {
    const absl::StatusOr<absl::Duration> wall = ParseDuration(options.wall);
    if (!wall.ok()) return Prefixed("--wall", wall.status());
    *limits->mutable_wall_time() = ToProto(*wall);
  }
  if (!options.cpu.empty()) {
    const absl::StatusOr<absl::Duration> cpu = ParseDuration(options.cpu);
    if (!cpu.ok()) return Prefixed("--cpu", cpu.status());
    *limits->mutable_cpu_time() = ToProto(*cpu);
  }
  return absl::OkStatus();
}

absl::Status AddSizesAndCounts(const RunOptions& options, v1::Limits* limits) {
  constexpr int64_t kMaximumCount = 1'000'000;
  struct Entry {
    const char* option;
    const std::string& text;
    bool is_size;
    void (*set)(v1::Limits*, int64_t);
  };
  const Entry entries[] = {
      {"--memory", options.memory, true, [](v1::Limits* l, int64_t n) { l->set_memory_bytes(n); }},
      {"--output", options.output, true, [](v1::Limits* l, int64_t n) { l->set_output_bytes(n); }},
      {"--file-size", options.file_size, true,
       [](v1::Limits* l, int64_t n) { l->set_file_bytes(n); }},
      {"--workspace", options.workspace, true,
       [](v1::Limits* l, int64_t n) { l->set_workspace_bytes(n); }},
      {"--processes", options.processes, false,
       [](v1::Limits* l, int64_t n) { l->set_process_count(static_cast<int32_t>(n)); }},
      {"--open-files", options.open_files, false,
       [](v1::Limits* l, int64_t n) { l->set_open_file_count(static_cast<int32_t>(n)); }},
  };
  for (const Entry& entry : entries) {
    if (entry.text.empty()) continue;
    const absl::StatusOr<int64_t> number =
        entry.is_size ? ParseSize(entry.text) : ParseCount(entry.text, kMaximumCount);
    if (!number.ok()) return Prefixed(entry.option, number.status());
    entry.set(limits, *number);
  }
  return absl::OkStatus();
}

std::string RandomRequestId() {
  std::random_device random;
  return absl::StrFormat("cli-%08x%08x%08x%08x", random(), random(), random(), random());
}

}  // namespace

absl::StatusOr<v1::ExecuteRequest> BuildExecuteRequest(const RunOptions& options) {
  v1::ExecuteRequest request;
  v1::Program* program = request.mutable_program();
  absl::Status status = CheckCombination(options);
  if (status.ok()) status = AddCode(options, program);
  if (status.ok()) status = AddEnvironment(options, program);
  if (status.ok()) status = AddFiles(options, program);
  if (status.ok()) status = AddStdin(options, program);
  if (status.ok()) status = AddValues(options, program);
  if (status.ok()) status = AddTimes(options, request.mutable_limits());
  if (status.ok()) status = AddSizesAndCounts(options, request.mutable_limits());
  if (!status.ok()) return status;
  const absl::StatusOr<std::vector<Fetch>> fetches = ParseFetches(options.fetches);
  if (!fetches.ok()) return fetches.status();
  for (const Fetch& fetch : *fetches) program->add_return_files(fetch.path);
  for (const std::string& arg : options.args) program->add_args(arg);
  program->set_return_value(options.value);
  request.set_template_(options.template_name);
  request.set_interpreter(options.interpreter);
  request.set_request_id(options.request_id.empty() ? RandomRequestId() : options.request_id);
  request.set_on_disconnect(options.detach ? v1::ExecuteRequest::ON_DISCONNECT_DETACH
                                           : v1::ExecuteRequest::ON_DISCONNECT_INTERRUPT);
  return request;
}

absl::StatusOr<std::vector<Fetch>> ParseFetches(const std::vector<std::string>& fetches) {
  std::vector<Fetch> parsed;
  for (const std::string& entry : fetches) {
    auto [path, local] = SplitAtLastColon(entry);
    absl::StatusOr<std::string> remote = RemotePath(path);
    if (!remote.ok()) return Prefixed("--fetch", remote.status());
    path = *std::move(remote);
    local = LocalTarget(local, BaseName(path));
    if (path.empty() || local.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--fetch \"", entry, "\" names no file; write --fetch PATH[:LOCAL]"));
    }
    parsed.push_back({std::move(path), std::move(local)});
  }
  return parsed;
}

absl::StatusOr<std::string> ReadInput(const std::string& path) {
  UniqueFile owned(nullptr, std::fclose);
  std::FILE* input = stdin;
  if (path != "-") {
    owned.reset(std::fopen(path.c_str(), "rbe"));
    input = owned.get();
    if (input == nullptr) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  }
  std::string content;
  char buffer[64 << 10];
  // A terminal can go on after its end.
  while (std::feof(input) == 0 && std::ferror(input) == 0) {
    content.append(buffer, std::fread(buffer, 1, sizeof(buffer), input));
  }
  if (std::ferror(input) == 0) return content;
  return absl::ErrnoToStatus(errno,
                             absl::StrCat("cannot read ", path == "-" ? "standard input" : path));
}

absl::Status WriteFile(const std::string& path, absl::string_view content) {
  absl::StatusOr<LocalFile> file = LocalFile::Create(path);
  if (!file.ok()) return file.status();
  absl::Status status = file->Write(content);
  return status.ok() ? file->Keep(/*executable=*/false) : status;
}

}  // namespace cloister::cli
