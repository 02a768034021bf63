#include "sandbox/base/guest_text.h"

#include "absl/strings/ascii.h"

namespace cloister::sandbox {
namespace {

bool ContinuesCharacter(char byte) { return (byte & 0xc0) == 0x80; }

}  // namespace

std::string TameGuestText(std::string_view text, size_t max_bytes) {
  const bool is_cut = text.size() > max_bytes;
  if (is_cut) {
    while (max_bytes > 0 && ContinuesCharacter(text[max_bytes])) --max_bytes;
    text = text.substr(0, max_bytes);
  }
  std::string tame;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (absl::ascii_isspace(byte)) {
      if (!tame.empty() && tame.back() != ' ') tame.push_back(' ');
    } else if (byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) {
      tame.push_back('?');  // U+0080 to U+009F
      ++i;
    } else {
      tame.push_back(absl::ascii_iscntrl(byte) ? '?' : text[i]);
    }
  }
  if (!tame.empty() && tame.back() == ' ') tame.pop_back();
  return is_cut ? tame + "…" : tame;
}

}  // namespace cloister::sandbox
