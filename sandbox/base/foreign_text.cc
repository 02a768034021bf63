#include "sandbox/base/foreign_text.h"

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace cloister::sandbox {
namespace {

constexpr std::string_view kCut = "...";
constexpr char kHexDigits[] = "0123456789abcdef";

unsigned int ByteAt(std::string_view text, size_t i) {
  return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
}

bool IsContinuation(unsigned int byte) { return (byte & 0xc0) == 0x80; }

// How many bytes the valid character at the beginning has; 0 where there is none.
size_t CharacterBytes(std::string_view text) {
  const unsigned int first = ByteAt(text, 0);
  const unsigned int second = ByteAt(text, 1);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4 || !IsContinuation(second)) return 0;
  if (first < 0xe0) return 2;
  if (!IsContinuation(ByteAt(text, 2))) return 0;
  if (first < 0xf0) {
    const bool is_overlong = first == 0xe0 && second < 0xa0;
    const bool is_surrogate = first == 0xed && second >= 0xa0;
    return is_overlong || is_surrogate ? 0 : 3;
  }
  const bool is_overlong = first == 0xf0 && second < 0x90;
  const bool is_beyond = first == 0xf4 && second >= 0x90;
  return is_overlong || is_beyond || !IsContinuation(ByteAt(text, 3)) ? 0 : 4;
}

bool IsControl(unsigned int byte) { return byte < 0x20 || byte == 0x7f; }

std::string Escaped(unsigned int byte) {
  return {'\\', 'x', kHexDigits[byte >> 4], kHexDigits[byte & 15]};
}

}  // namespace

std::string ForeignText(std::string_view text, size_t max_bytes) {
  std::string safe;
  size_t whole = 0;  // of `safe`, as much as leaves room for the sign of a cut
  while (!text.empty()) {
    const size_t size = CharacterBytes(text);
    const bool is_kept = size > 1 || (size == 1 && !IsControl(ByteAt(text, 0)));
    const std::string next = is_kept ? std::string(text.substr(0, size)) : Escaped(ByteAt(text, 0));
    if (safe.size() + next.size() > max_bytes) return safe.substr(0, whole).append(kCut);
    safe += next;
    if (safe.size() + kCut.size() <= max_bytes) whole = safe.size();
    text.remove_prefix(is_kept ? size : 1);
  }
  return safe;
}

std::string ForeignLine(std::string_view text, size_t max_bytes) {
  // Enough of it for words that are far apart, and for a cut to be told.
  text = text.substr(0, 4 * max_bytes);
  const auto words = absl::StrSplit(absl::string_view(text.data(), text.size()),
                                    absl::ByAnyChar(" \t\r\n\v\f"), absl::SkipEmpty());
  return ForeignText(absl::StrJoin(words, " "), max_bytes);
}

}  // namespace cloister::sandbox
