#include "service/rpc/request_validator.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "service/base/proto_time.h"
#include "service/core/placed_files.h"
#include "service/rpc/program_values.h"

namespace cloister::rpc {
namespace {

constexpr size_t kMaximumRequestIdBytes = 128;
constexpr size_t kMaximumTemplateNameBytes = 63;
constexpr size_t kMaximumNameBytes = 128;
constexpr size_t kMaximumInputBytes = size_t{64} << 10;
constexpr size_t kMaximumFileNameBytes = 255;
constexpr size_t kMaximumPathBytes = 1024;
constexpr size_t kMaximumSegmentBytes = 255;
constexpr absl::Duration kDefaultGrace = absl::Seconds(2);
constexpr absl::Duration kMaximumGrace = absl::Seconds(60);

bool HasNul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

std::string TooMany(int64_t count, const char* things, int64_t maximum) {
  return absl::StrCat("has ", count, " ", things, "; at most ", maximum, " are allowed");
}

std::string TooLarge(int64_t bytes, int64_t maximum) {
  return absl::StrCat("is ", bytes, " bytes; at most ", maximum, " are allowed");
}

// Order in which everything below a path follows the path itself at once.
bool ParentFirst(std::string_view a, std::string_view b) {
  const auto rank = [](char c) {
    return c == '/' ? -1 : static_cast<int>(static_cast<unsigned char>(c));
  };
  return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(),
                                      [rank](char x, char y) { return rank(x) < rank(y); });
}

bool IsSameOrBelow(std::string_view path, std::string_view parent) {
  return path.size() >= parent.size() && path.substr(0, parent.size()) == parent &&
         (path.size() == parent.size() || path[parent.size()] == '/');
}

// Two files with one path, or a file where another needs a directory.
void CheckDistinct(const google::protobuf::RepeatedPtrField<v1::File>& files,
                   const std::string& whole, Violations* violations) {
  std::vector<std::pair<std::string_view, int>> paths;
  paths.reserve(static_cast<size_t>(files.size()));
  for (int i = 0; i < files.size(); ++i) paths.emplace_back(files[i].path(), i);
  std::stable_sort(paths.begin(), paths.end(),
                   [](const auto& a, const auto& b) { return ParentFirst(a.first, b.first); });
  for (size_t i = 1; i < paths.size(); ++i) {
    if (!IsSameOrBelow(paths[i].first, paths[i - 1].first)) continue;
    violations->Add(
        absl::StrCat(whole, "[", paths[i].second, "].path"),
        absl::StrCat("is the same as, or below, ", whole, "[", paths[i - 1].second, "].path"));
  }
}

// What only the sandbox itself may be given, and what only makes sense in one that lives on.
template <typename Request>
void CheckInterpreter(const Request& request, Violations* violations) {
  if (request.interpreter().empty()) {
    if (request.has_cell()) violations->Add("cell", "is for an interpreter; set `interpreter`");
    return;
  }
  CheckName(request.interpreter(), "interpreter", violations);
  if (!request.template_().empty()) {
    violations->Add("template", "must be empty with `interpreter`, which has one already");
  }
  const v1::Limits& limits = request.limits();
  const struct {
    const char* name;
    bool is_set;
  } fixed[] = {{"memory_bytes", limits.has_memory_bytes()},
               {"process_count", limits.has_process_count()},
               {"open_file_count", limits.has_open_file_count()},
               {"file_bytes", limits.has_file_bytes()},
               {"workspace_bytes", limits.has_workspace_bytes()}};
  for (const auto& limit : fixed) {
    if (!limit.is_set) continue;
    violations->Add(absl::StrCat("limits.", limit.name),
                    "is the sandbox's, set when it was created; leave it unset");
  }
}

}  // namespace

void CheckRequestId(std::string_view request_id, Violations* violations) {
  if (request_id.size() <= kMaximumRequestIdBytes) return;
  violations->Add("request_id",
                  TooLarge(static_cast<int64_t>(request_id.size()), kMaximumRequestIdBytes));
}

void CheckTemplateName(std::string_view template_name, Violations* violations) {
  if (template_name.size() <= kMaximumTemplateNameBytes) return;
  violations->Add("template",
                  TooLarge(static_cast<int64_t>(template_name.size()), kMaximumTemplateNameBytes));
}

void CheckName(std::string_view name, std::string_view field, Violations* violations) {
  if (name.empty()) {
    violations->Add(field, "is empty; give the name that the server chose");
  } else if (name.size() > kMaximumNameBytes) {
    violations->Add(field, TooLarge(static_cast<int64_t>(name.size()), kMaximumNameBytes));
  }
}

std::string_view PathProblem(std::string_view path) {
  if (path.empty()) return "is empty";
  if (path.size() > kMaximumPathBytes) return "is longer than 1024 bytes";
  return PathPartsProblem(path);
}

std::string_view PathPartsProblem(std::string_view path) {
  if (path.empty()) return "is empty";
  if (path.front() == '/') return "is absolute; must be relative to /workspace";
  if (HasNul(path)) return "contains NUL";
  for (absl::string_view segment :
       absl::StrSplit(absl::string_view(path.data(), path.size()), '/')) {
    if (segment.empty()) return "has an empty segment";
    if (segment == "." || segment == "..") return "has a '.' or '..' segment";
    if (segment.size() > kMaximumSegmentBytes) return "has a segment longer than 255 bytes";
  }
  return "";
}

absl::StatusOr<sandbox::Limits> RequestValidator::Check(const v1::RunCodeRequest& request) const {
  return CheckProgramRequest(request, Violations());
}

absl::StatusOr<sandbox::Limits> RequestValidator::Check(const v1::ExecuteRequest& request) const {
  Violations violations;
  if (!v1::ExecuteRequest::OnDisconnect_IsValid(request.on_disconnect())) {
    violations.Add("on_disconnect", absl::StrCat("has no value ", request.on_disconnect()));
  }
  if (request.allow_input() && request.interpreter().empty()) {
    violations.Add("allow_input", "is for an interpreter; set `interpreter`, or give `stdin`");
  }
  return CheckProgramRequest(request, std::move(violations));
}

absl::Status RequestValidator::Check(const v1::AttachExecutionRequest& request) const {
  Violations violations;
  CheckName(request.execution(), "execution", &violations);
  if (request.after_sequence() < 0) {
    violations.Add("after_sequence", "is negative; 0 asks for all events");
  }
  return violations.ToStatus();
}

absl::StatusOr<absl::Duration> RequestValidator::Check(
    const v1::InterruptExecutionRequest& request) const {
  Violations violations;
  if (request.execution().empty() == request.interpreter().empty()) {
    violations.Add("execution", "set either this or `interpreter`");
  } else {
    const bool is_execution = request.interpreter().empty();
    CheckName(is_execution ? request.execution() : request.interpreter(),
              is_execution ? "execution" : "interpreter", &violations);
  }
  absl::Duration grace = kDefaultGrace;
  const bool is_zero =
      request.has_grace() && request.grace().seconds() == 0 && request.grace().nanos() == 0;
  if (is_zero) {
    grace = absl::ZeroDuration();
  } else if (request.has_grace()) {
    grace = CheckedDuration(request.grace(), kMaximumGrace, "grace", &violations);
  }
  if (!violations.empty()) return violations.ToStatus();
  return grace;
}

absl::Status RequestValidator::Check(const v1::SendInputRequest& request) const {
  Violations violations;
  CheckName(request.execution(), "execution", &violations);
  if (request.request_number() < 0) {
    violations.Add("request_number", "is negative; 0 answers whichever request is open");
  }
  if (request.input_case() == v1::SendInputRequest::INPUT_NOT_SET) {
    violations.Add("text", "set either this or `end_of_file`");
  } else if (request.text().size() > kMaximumInputBytes) {
    violations.Add("text",
                   TooLarge(static_cast<int64_t>(request.text().size()), kMaximumInputBytes));
  } else if (request.text().find('\n') != std::string::npos) {
    violations.Add("text", "contains a newline; it is one line, without its end");
  } else if (request.has_end_of_file() && !request.end_of_file()) {
    violations.Add("end_of_file", "is false; leave it unset, and set `text`");
  }
  return violations.ToStatus();
}

template <typename Request>
absl::StatusOr<sandbox::Limits> RequestValidator::CheckProgramRequest(const Request& request,
                                                                      Violations violations) const {
  CheckRequestId(request.request_id(), &violations);
  CheckTemplateName(request.template_(), &violations);
  CheckInterpreter(request, &violations);
  sandbox::Limits resolved = ResolveLimits(request.limits(), policy_, "limits", &violations);
  sandbox::Limits checked = resolved;
  // What fits into a live sandbox it finds out itself.
  if (!request.interpreter().empty()) {
    checked.workspace_bytes = policy_.maximum.workspace_bytes;
    checked.memory_bytes = policy_.maximum.memory_bytes;
  }
  CheckProgram(request.program(), checked, &violations);
  if (!violations.empty()) return violations.ToStatus();
  return resolved;
}

void RequestValidator::CheckProgram(const v1::Program& program, const sandbox::Limits& limits,
                                    Violations* violations) const {
  const auto code_bytes = static_cast<int64_t>(program.code().size());
  if (code_bytes > bounds_.code_bytes) {
    violations->Add("program.code", TooLarge(code_bytes, bounds_.code_bytes));
  }
  const std::string& file_name = program.file_name();
  if (file_name.size() > kMaximumFileNameBytes) {
    violations->Add("program.file_name",
                    TooLarge(static_cast<int64_t>(file_name.size()), kMaximumFileNameBytes));
  } else if (HasNul(file_name) || file_name.find('\n') != std::string::npos) {
    violations->Add("program.file_name", "contains NUL or a newline");
  }
  const auto stdin_bytes = static_cast<int64_t>(program.stdin().size());
  if (stdin_bytes > bounds_.stdin_bytes) {
    violations->Add("program.stdin", TooLarge(stdin_bytes, bounds_.stdin_bytes));
  }
  CheckArguments(program, violations);
  CheckEnvironment(program.environment(), "program.", violations);
  CheckFiles(program.files(), limits, "program.", violations);
  CheckReturnFiles(program, violations);
  CheckValues(program, violations);
}

void RequestValidator::CheckArguments(const v1::Program& program, Violations* violations) const {
  if (program.args_size() > bounds_.argument_count) {
    violations->Add("program.args",
                    TooMany(program.args_size(), "entries", bounds_.argument_count));
  }
  int64_t bytes = 0;
  for (int i = 0; i < program.args_size(); ++i) {
    bytes += static_cast<int64_t>(program.args(i).size());
    if (HasNul(program.args(i))) {
      violations->Add(absl::StrCat("program.args[", i, "]"), "contains NUL");
    }
  }
  if (bytes > bounds_.arguments_bytes) {
    violations->Add("program.args", TooLarge(bytes, bounds_.arguments_bytes));
  }
}

void RequestValidator::CheckEnvironment(
    const google::protobuf::Map<std::string, std::string>& environment, const std::string& prefix,
    Violations* violations) const {
  const std::string whole = absl::StrCat(prefix, "environment");
  const auto count = static_cast<int64_t>(environment.size());
  if (count > bounds_.environment_count) {
    violations->Add(whole, TooMany(count, "entries", bounds_.environment_count));
  }
  int64_t bytes = 0;
  for (const auto& [name, value] : environment) {
    bytes += static_cast<int64_t>(name.size() + value.size());
    const std::string field = absl::StrCat(whole, "[", Quoted(name), "]");
    if (name.empty()) violations->Add(field, "has an empty name");
    if (HasNul(name) || name.find('=') != std::string::npos) {
      violations->Add(field, "has '=' or NUL in its name");
    }
    if (HasNul(value)) violations->Add(field, "has NUL in its value");
  }
  if (bytes > bounds_.environment_bytes) {
    violations->Add(whole, TooLarge(bytes, bounds_.environment_bytes));
  }
}

void RequestValidator::CheckFiles(const google::protobuf::RepeatedPtrField<v1::File>& files,
                                  const sandbox::Limits& limits, const std::string& prefix,
                                  Violations* violations) const {
  const std::string whole = absl::StrCat(prefix, "files");
  if (files.size() > bounds_.file_count) {
    violations->Add(whole, TooMany(files.size(), "files", bounds_.file_count));
    return;
  }
  int64_t bytes = 0;
  bool well_formed = true;
  for (int i = 0; i < files.size(); ++i) {
    bytes += static_cast<int64_t>(files[i].content().size());
    const std::string_view problem = PathProblem(files[i].path());
    if (problem.empty()) continue;
    well_formed = false;
    violations->Add(absl::StrCat(whole, "[", i, "].path"), problem);
  }
  if (well_formed) CheckDistinct(files, whole, violations);
  if (bytes > bounds_.files_bytes) {
    violations->Add(whole, TooLarge(bytes, bounds_.files_bytes));
  } else if (bytes > limits.workspace_bytes) {
    violations->Add(whole, absl::StrCat("is ", bytes, " bytes; limits.workspace_bytes is ",
                                        limits.workspace_bytes));
  } else if (limits.memory_bytes > 0) {
    const std::string problem = core::PlacingProblem(files, limits.memory_bytes);
    if (!problem.empty()) violations->Add(whole, problem);
  }
}

void RequestValidator::CheckReturnFiles(const v1::Program& program, Violations* violations) const {
  if (program.return_files_size() > bounds_.return_file_count) {
    violations->Add("program.return_files",
                    TooMany(program.return_files_size(), "paths", bounds_.return_file_count));
    return;
  }
  for (int i = 0; i < program.return_files_size(); ++i) {
    const std::string_view problem = PathProblem(program.return_files(i));
    if (!problem.empty()) violations->Add(absl::StrCat("program.return_files[", i, "]"), problem);
  }
}

}  // namespace cloister::rpc
