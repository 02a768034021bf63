#include "service/rpc/violations.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace cloister::rpc {

std::string Quoted(std::string_view text) {
  constexpr size_t kShown = 40;
  const bool cut = text.size() > kShown;
  text = text.substr(0, kShown);
  return absl::StrCat("\"", absl::CHexEscape({text.data(), text.size()}), cut ? "…\"" : "\"");
}

}  // namespace cloister::rpc
