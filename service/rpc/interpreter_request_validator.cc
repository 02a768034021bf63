#include "service/rpc/interpreter_request_validator.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "service/core/interpreter_bounds.h"

namespace cloister::rpc {
namespace {

void CheckId(const std::string& id, Violations* violations) {
  const std::string problem = core::InterpreterIdProblem(id);
  if (!problem.empty()) {
    violations->Add("interpreter_id", absl::StrCat("is ", Quoted(id), "; ", problem));
  }
}

void CheckProfile(const v1::CreateInterpreterRequest& request, Violations* violations) {
  const v1::Interpreter::Profile profile = request.profile();
  if (!v1::Interpreter::Profile_IsValid(profile)) {
    violations->Add("profile", absl::StrCat("is ", static_cast<int>(profile),
                                            ", which is none; leave it unset, or set ISOLATED, "
                                            "SHARED_GIL or PROCESS"));
  } else if (profile == v1::Interpreter::PROFILE_MAIN) {
    violations->Add("profile", "is MAIN, of which every sandbox has one; leave it unset, or set "
                               "ISOLATED, SHARED_GIL or PROCESS");
  }
}

void CheckMemory(const v1::CreateInterpreterRequest& request, const RequestValidator& programs,
                 Violations* violations) {
  const int64_t bytes = request.memory_limit_bytes();
  if (bytes == 0) return;
  const int64_t most = programs.policy().maximum.memory_bytes;
  if (bytes < core::kLeastInterpreterMemoryBytes || bytes > most) {
    violations->Add("memory_limit_bytes",
                    absl::StrCat("is ", bytes, "; must be from ", core::kLeastInterpreterMemoryBytes, " to ", most,
                                 ", or 0 for no limit but the sandbox's"));
  }
  if (request.profile() != v1::Interpreter::PROFILE_ISOLATED) {
    violations->Add("memory_limit_bytes",
                    "can be set with `profile` ISOLATED only; no other interpreter has memory of "
                    "its own that it could be held to");
  }
}

void CheckImports(const v1::CreateInterpreterRequest& request, Violations* violations) {
  if (request.imports_size() > core::kMaximumImports) {
    violations->Add("imports", absl::StrCat("has ", request.imports_size(),
                                            " entries; must have at most ", core::kMaximumImports));
    return;
  }
  for (int i = 0; i < request.imports_size(); ++i) {
    const std::string problem = core::ImportProblem(request.imports(i));
    if (!problem.empty()) violations->Add(absl::StrCat("imports[", i, "]"), problem);
  }
}

}  // namespace

absl::Status CheckRequest(const v1::CreateInterpreterRequest& request,
                          const RequestValidator& programs) {
  Violations violations;
  CheckRequestId(request.request_id(), &violations);
  CheckName(request.sandbox(), "sandbox", &violations);
  CheckId(request.interpreter_id(), &violations);
  CheckProfile(request, &violations);
  CheckImports(request, &violations);
  CheckMemory(request, programs, &violations);
  programs.CheckEnvironment(request.environment(), "", &violations);
  return violations.ToStatus();
}

absl::Status CheckNameAlone(const std::string& name, std::string_view field) {
  Violations violations;
  CheckName(name, field, &violations);
  return violations.ToStatus();
}

}  // namespace cloister::rpc
