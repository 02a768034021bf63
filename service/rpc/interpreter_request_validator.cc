#include "service/rpc/interpreter_request_validator.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "service/core/live_sandbox.h"

namespace cloister::rpc {
namespace {

constexpr size_t kMaximumIdBytes = 63;
constexpr int kMaximumImports = 64;
constexpr size_t kMaximumImportBytes = 256;
// Less, and not even an interpreter fits.
constexpr int64_t kLeastMemoryBytes = int64_t{8} << 20;

void CheckId(const std::string& id, Violations* violations) {
  const bool is_well_formed = std::all_of(id.begin(), id.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
  });
  if (id.size() > kMaximumIdBytes || !is_well_formed) {
    violations->Add("interpreter_id",
                    absl::StrCat("is ", Quoted(id), "; must be 1 to ", kMaximumIdBytes,
                                 " characters of [a-z0-9-], or empty for one that is chosen"));
  } else if (id == core::kMainInterpreter) {
    violations->Add("interpreter_id", "is \"main\", which every sandbox has already");
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
  if (bytes < kLeastMemoryBytes || bytes > most) {
    violations->Add("memory_limit_bytes",
                    absl::StrCat("is ", bytes, "; must be from ", kLeastMemoryBytes, " to ", most,
                                 ", or 0 for no limit but the sandbox's"));
  }
  if (request.profile() != v1::Interpreter::PROFILE_ISOLATED) {
    violations->Add("memory_limit_bytes",
                    "can be set with `profile` ISOLATED only; no other interpreter has memory of "
                    "its own that it could be held to");
  }
}

void CheckImports(const v1::CreateInterpreterRequest& request, Violations* violations) {
  if (request.imports_size() > kMaximumImports) {
    violations->Add("imports", absl::StrCat("has ", request.imports_size(),
                                            " entries; must have at most ", kMaximumImports));
    return;
  }
  for (int i = 0; i < request.imports_size(); ++i) {
    const std::string& name = request.imports(i);
    const std::string field = absl::StrCat("imports[", i, "]");
    if (name.empty()) {
      violations->Add(field, "is empty; must be a module's name");
    } else if (name.size() > kMaximumImportBytes) {
      violations->Add(field, absl::StrCat("has ", name.size(), " bytes; must have at most ",
                                          kMaximumImportBytes));
    } else if (name.find('\0') != std::string::npos) {
      violations->Add(field, "contains NUL");
    } else if (name.front() == '.') {
      violations->Add(field, "is relative; must be a module's full name");
    }
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
