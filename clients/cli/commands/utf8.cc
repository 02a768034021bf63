#include "clients/cli/commands/utf8.h"

#include "absl/strings/escaping.h"
#include "nlohmann/json.hpp"

namespace cloister::cli {

bool IsUtf8(const std::string& bytes) {
  try {
    (void)nlohmann::json(bytes).dump();
    return true;
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

// What is not UTF-8 could do anything to a terminal.
std::string ShownPath(absl::string_view path) {
  return IsUtf8(std::string(path)) ? absl::Utf8SafeCEscape(path) : absl::CEscape(path);
}

}  // namespace cloister::cli
