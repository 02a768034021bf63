#include "service/rpc/program_values.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/clone/value.h"

namespace cloister::rpc {
namespace {

constexpr size_t kMaximumNames = 256;
constexpr size_t kMaximumNameBytes = 255;
// Of all clones of a program together.
constexpr size_t kMaximumValuesBytes = size_t{16} << 20;

// The Python Language Reference, "Keywords".
constexpr std::string_view kKeywords[] = {
    "False", "None",     "True",  "and",    "as",   "assert", "async",  "await",    "break",
    "class", "continue", "def",   "del",    "elif", "else",   "except", "finally",  "for",
    "from",  "global",   "if",    "import", "in",   "is",     "lambda", "nonlocal", "not",
    "or",    "pass",     "raise", "return", "try",  "while",  "with",   "yield"};

bool IsIdentifier(std::string_view name) {
  const auto may_follow = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' ||
           !absl::ascii_isascii(static_cast<unsigned char>(c));
  };
  return !name.empty() && !absl::ascii_isdigit(static_cast<unsigned char>(name.front())) &&
         std::all_of(name.begin(), name.end(), may_follow);
}

std::string_view ParameterProblem(std::string_view name) {
  return IsIdentifier(name) ? "" : "is no identifier of Python's";
}

using Values = google::protobuf::Map<std::string, v1::Value>;

void CheckNames(const Values& values, const std::string& field,
                std::string_view (*problem_of)(std::string_view), Violations* violations) {
  if (values.size() > kMaximumNames) {
    violations->Add(field,
                    absl::StrCat("has ", values.size(), " entries; at most ", kMaximumNames));
    return;
  }
  for (const auto& [name, value] : values) {
    const std::string_view problem =
        name.size() > kMaximumNameBytes ? "is longer than 255 bytes" : problem_of(name);
    if (!problem.empty()) violations->Add(absl::StrCat(field, "[", Quoted(name), "]"), problem);
  }
}

// "module.of.it:qualified.name" or "qualified.name".
std::string_view FunctionProblem(const std::string& function) {
  if (function.empty()) return "is empty; name a function, \"module:name\" or \"name\"";
  if (function.size() > kMaximumNameBytes) return "is longer than 255 bytes";
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(function, absl::MaxSplits(':', 1));
  const bool has_module = function.find(':') != std::string::npos;
  for (const std::string& part : {parts.first, has_module ? parts.second : parts.first}) {
    for (const std::string& name : std::vector<std::string>(absl::StrSplit(part, '.'))) {
      if (!IsIdentifier(name)) return "is neither \"module:qualified.name\" nor \"name\"";
    }
  }
  return "";
}

absl::Status Invalid(const std::string& field, const absl::Status& status) {
  Violations violations;
  violations.Add(field, std::string(status.message()));
  return violations.ToStatus();
}

}  // namespace

std::string_view VariableProblem(std::string_view name) {
  if (!IsIdentifier(name)) return "is no identifier of Python's";
  if (std::find(std::begin(kKeywords), std::end(kKeywords), name) != std::end(kKeywords)) {
    return "is a keyword of Python's";
  }
  return name.substr(0, 2) == "__" ? "begins with two underscores; those names are Python's own"
                                   : "";
}

void CheckValues(const v1::Program& program, Violations* violations) {
  if (!v1::ValueForm_IsValid(program.value_form())) {
    violations->Add("program.value_form", absl::StrCat("has no value ", program.value_form()));
  }
  CheckVariables(program.variables(), "program.variables", violations);
  if (program.has_call()) CheckCall(program.call(), "program.call", violations);
}

void CheckVariables(const google::protobuf::Map<std::string, v1::Value>& variables,
                    const std::string& field, Violations* violations) {
  CheckNames(variables, field, VariableProblem, violations);
}

void CheckCall(const v1::FunctionCall& call, const std::string& field, Violations* violations) {
  const std::string_view problem = FunctionProblem(call.function());
  if (!problem.empty()) violations->Add(absl::StrCat(field, ".function"), problem);
  CheckNames(call.keyword_arguments(), absl::StrCat(field, ".keyword_arguments"), ParameterProblem,
             violations);
}

namespace {

absl::StatusOr<std::string> CloneOf(const google::protobuf::RepeatedPtrField<v1::Value>& values) {
  return sandbox::TupleCloneFromValues(values, sandbox::kValueCloneLimits);
}
absl::StatusOr<std::string> CloneOf(const google::protobuf::Map<std::string, v1::Value>& values) {
  return sandbox::DictCloneFromValues(values, sandbox::kValueCloneLimits);
}

// Makes the clone `result` of `values`, if there are any. FIELD_INVALID in `field`.
template <typename Values>
absl::Status Take(const Values& values, const std::string& field, std::string* result) {
  if (values.empty()) return absl::OkStatus();
  absl::StatusOr<std::string> clone = CloneOf(values);
  if (!clone.ok()) return Invalid(field, clone.status());
  *result = *std::move(clone);
  return absl::OkStatus();
}

absl::Status CheckBytes(const std::string& field, size_t bytes) {
  Violations violations;
  if (bytes > kMaximumValuesBytes) {
    violations.Add(field, absl::StrCat("has values of ", bytes, " bytes in all; at most ",
                                       kMaximumValuesBytes, " are allowed"));
  }
  return violations.ToStatus();
}

}  // namespace

absl::StatusOr<sandbox::GuestProgram> TakeProgram(v1::Program program,
                                                  const std::string& call_field) {
  sandbox::GuestProgram taken;
  const v1::FunctionCall& call = program.call();
  if (!program.variables().empty()) {
    CLOISTER_RETURN_IF_ERROR(
        Take(program.variables(), "program.variables", taken.clones.add_variables()));
  }
  CLOISTER_RETURN_IF_ERROR(Take(call.arguments(), absl::StrCat(call_field, ".arguments"),
                                taken.clones.mutable_arguments()));
  CLOISTER_RETURN_IF_ERROR(Take(call.keyword_arguments(),
                                absl::StrCat(call_field, ".keyword_arguments"),
                                taken.clones.mutable_keyword_arguments()));
  CLOISTER_RETURN_IF_ERROR(CheckBytes("program", taken.clones.ByteSizeLong()));
  program.clear_variables();
  if (program.has_call()) {
    if (program.value_form() == v1::VALUE_FORM_UNSPECIFIED) {
      program.set_value_form(v1::VALUE_FORM_TYPED);
    }
    program.mutable_call()->clear_arguments();
    program.mutable_call()->clear_keyword_arguments();
  }
  taken.program = std::move(program);
  return taken;
}

int64_t BytesOf(const sandbox::GuestProgram& program) {
  return static_cast<int64_t>(program.program.SpaceUsedLong() + program.clones.SpaceUsedLong());
}

absl::Status TakeInputValues(const v1::MapInput& input, const std::string& field,
                             const internal::v1::ProgramClones& common, std::string* variables,
                             std::string* arguments) {
  CLOISTER_RETURN_IF_ERROR(Take(input.variables(), absl::StrCat(field, ".variables"), variables));
  CLOISTER_RETURN_IF_ERROR(Take(input.arguments(), absl::StrCat(field, ".arguments"), arguments));
  return CheckBytes(field, common.ByteSizeLong() + variables->size() + arguments->size());
}

}  // namespace cloister::rpc
