#include "sandbox/base/foreign_text.h"

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "sandbox/base/utf8.h"

namespace cloister::sandbox {
namespace {

constexpr std::string_view kCut = "...";
constexpr char kHexDigits[] = "0123456789abcdef";

bool IsControl(unsigned int byte) { return byte < 0x20 || byte == 0x7f; }

std::string Escaped(unsigned int byte) {
  return {'\\', 'x', kHexDigits[byte >> 4], kHexDigits[byte & 15]};
}

}  // namespace

std::string ForeignText(std::string_view text, size_t max_bytes) {
  std::string safe;
  size_t whole = 0;  // of `safe`, as much as leaves room for the sign of a cut
  while (!text.empty()) {
    const size_t size = Utf8CharacterBytes(text);
    const auto first = static_cast<unsigned char>(text[0]);
    const bool is_kept = size > 1 || (size == 1 && !IsControl(first));
    const std::string next = is_kept ? std::string(text.substr(0, size)) : Escaped(first);
    if (safe.size() + next.size() > max_bytes) return safe.substr(0, whole).append(kCut);
    safe += next;
    if (safe.size() + kCut.size() <= max_bytes) whole = safe.size();
    text.remove_prefix(is_kept ? size : 1);
  }
  return safe;
}

std::string ForeignLine(std::string_view text, size_t max_bytes) {
  // Enough of it for words that are far apart.
  const std::string_view begin = text.substr(0, 4 * max_bytes);
  const auto words = absl::StrSplit(absl::string_view(begin.data(), begin.size()),
                                    absl::ByAnyChar(" \t\r\n\v\f"), absl::SkipEmpty());
  std::string line = absl::StrJoin(words, " ");
  if (begin.size() < text.size()) line += kCut;
  return ForeignText(line, max_bytes);
}

}  // namespace cloister::sandbox
