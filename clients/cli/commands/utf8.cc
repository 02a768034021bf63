#include "clients/cli/commands/utf8.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_replace.h"
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

// What is not UTF-8 could do anything to a terminal, and the sign that the server shows for it looks like nothing.
std::string ShownPath(absl::string_view path) {
  if (!IsUtf8(std::string(path))) return absl::CEscape(path);
  return absl::StrReplaceAll(absl::Utf8SafeCEscape(path), {{"\ufffd", "\\ufffd"}});
}

}  // namespace cloister::cli
