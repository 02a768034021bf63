#include "service/core/interpreter_bounds.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "service/core/live_sandbox.h"

namespace cloister::core {
namespace {

constexpr size_t kMaximumIdBytes = 63;
constexpr size_t kMaximumImportBytes = 256;

}  // namespace

std::string InterpreterIdProblem(std::string_view id) {
  const bool is_well_formed = std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
  });
  if (id.size() > kMaximumIdBytes || !is_well_formed) {
    return "must be 1 to 63 characters of [a-z0-9-], or empty for one that is chosen";
  }
  return id == kMainInterpreter ? "every sandbox has one of that name already" : "";
}

std::string ImportProblem(std::string_view name) {
  if (name.empty()) return "is empty; must be a module's name";
  if (name.size() > kMaximumImportBytes) {
    return absl::StrCat("has ", name.size(), " bytes; must have at most ", kMaximumImportBytes);
  }
  if (name.find('\0') != std::string_view::npos) return "contains NUL";
  return name.front() == '.' ? "is relative; must be a module's full name" : "";
}

}  // namespace cloister::core
