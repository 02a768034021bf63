#include "service/rpc/request_validator.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "service/base/proto_time.h"

namespace cloister::rpc {
namespace {

constexpr size_t kMaximumRequestIdBytes = 128;
constexpr size_t kMaximumTemplateNameBytes = 63;
constexpr size_t kMaximumExecutionNameBytes = 64;
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
void CheckDistinct(const v1::Program& program, Violations* violations) {
  std::vector<std::pair<std::string_view, int>> paths;
  paths.reserve(program.files_size());
  for (int i = 0; i < program.files_size(); ++i) paths.emplace_back(program.files(i).path(), i);
  std::stable_sort(paths.begin(), paths.end(),
                   [](const auto& a, const auto& b) { return ParentFirst(a.first, b.first); });
  for (size_t i = 1; i < paths.size(); ++i) {
    if (!IsSameOrBelow(paths[i].first, paths[i - 1].first)) continue;
    violations->Add(
        absl::StrCat("program.files[", paths[i].second, "].path"),
        absl::StrCat("is the same as, or below, program.files[", paths[i - 1].second, "].path"));
  }
}

void CheckExecutionName(std::string_view name, Violations* violations) {
  if (name.empty()) {
    violations->Add("execution", "is empty; give the name from the started event");
  } else if (name.size() > kMaximumExecutionNameBytes) {
    violations->Add("execution",
                    TooLarge(static_cast<int64_t>(name.size()), kMaximumExecutionNameBytes));
  }
}

}  // namespace

std::string_view PathProblem(std::string_view path) {
  if (path.empty()) return "is empty";
  if (path.size() > kMaximumPathBytes) return "is longer than 1024 bytes";
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
  return CheckProgramRequest(request.request_id(), request.template_(), request.program(),
                             request.limits(), Violations());
}

absl::StatusOr<sandbox::Limits> RequestValidator::Check(const v1::ExecuteRequest& request) const {
  Violations violations;
  if (!v1::ExecuteRequest::OnDisconnect_IsValid(request.on_disconnect())) {
    violations.Add("on_disconnect", absl::StrCat("has no value ", request.on_disconnect()));
  }
  return CheckProgramRequest(request.request_id(), request.template_(), request.program(),
                             request.limits(), std::move(violations));
}

absl::Status RequestValidator::Check(const v1::AttachExecutionRequest& request) const {
  Violations violations;
  CheckExecutionName(request.execution(), &violations);
  if (request.after_sequence() < 0) {
    violations.Add("after_sequence", "is negative; 0 asks for all events");
  }
  return violations.ToStatus();
}

absl::StatusOr<absl::Duration> RequestValidator::Check(
    const v1::InterruptExecutionRequest& request) const {
  Violations violations;
  CheckExecutionName(request.execution(), &violations);
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

absl::StatusOr<sandbox::Limits> RequestValidator::CheckProgramRequest(
    std::string_view request_id, std::string_view template_name, const v1::Program& program,
    const v1::Limits& limits, Violations violations) const {
  if (request_id.size() > kMaximumRequestIdBytes) {
    violations.Add("request_id",
                   TooLarge(static_cast<int64_t>(request_id.size()), kMaximumRequestIdBytes));
  }
  if (template_name.size() > kMaximumTemplateNameBytes) {
    violations.Add("template",
                   TooLarge(static_cast<int64_t>(template_name.size()), kMaximumTemplateNameBytes));
  }
  const sandbox::Limits resolved = ResolveLimits(limits, policy_, "limits", &violations);
  CheckProgram(program, resolved, &violations);
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
  CheckEnvironment(program, violations);
  CheckFiles(program, limits, violations);
  CheckReturnFiles(program, violations);
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

void RequestValidator::CheckEnvironment(const v1::Program& program, Violations* violations) const {
  const auto count = static_cast<int64_t>(program.environment().size());
  if (count > bounds_.environment_count) {
    violations->Add("program.environment", TooMany(count, "entries", bounds_.environment_count));
  }
  int64_t bytes = 0;
  for (const auto& [name, value] : program.environment()) {
    bytes += static_cast<int64_t>(name.size() + value.size());
    const std::string field = absl::StrCat("program.environment[", Quoted(name), "]");
    if (name.empty()) violations->Add(field, "has an empty name");
    if (HasNul(name) || name.find('=') != std::string::npos) {
      violations->Add(field, "has '=' or NUL in its name");
    }
    if (HasNul(value)) violations->Add(field, "has NUL in its value");
  }
  if (bytes > bounds_.environment_bytes) {
    violations->Add("program.environment", TooLarge(bytes, bounds_.environment_bytes));
  }
}

void RequestValidator::CheckFiles(const v1::Program& program, const sandbox::Limits& limits,
                                  Violations* violations) const {
  if (program.files_size() > bounds_.file_count) {
    violations->Add("program.files", TooMany(program.files_size(), "files", bounds_.file_count));
    return;
  }
  int64_t bytes = 0;
  bool well_formed = true;
  for (int i = 0; i < program.files_size(); ++i) {
    bytes += static_cast<int64_t>(program.files(i).content().size());
    const std::string_view problem = PathProblem(program.files(i).path());
    if (problem.empty()) continue;
    well_formed = false;
    violations->Add(absl::StrCat("program.files[", i, "].path"), problem);
  }
  if (well_formed) CheckDistinct(program, violations);
  if (bytes > bounds_.files_bytes) {
    violations->Add("program.files", TooLarge(bytes, bounds_.files_bytes));
  } else if (bytes > limits.workspace_bytes) {
    violations->Add(
        "program.files",
        absl::StrCat("is ", bytes, " bytes; limits.workspace_bytes is ", limits.workspace_bytes));
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
