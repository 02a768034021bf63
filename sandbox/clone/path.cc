#include "sandbox/clone/path.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "sandbox/base/utf8.h"
#include "sandbox/clone/token.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kMaxKeyCharacters = 64;
constexpr size_t kMaxPathBytes = 1024;
constexpr char kCut[] = "…";

bool IsIdentifier(std::string_view text) {
  if (text.empty() || text.size() > kMaxKeyCharacters || absl::ascii_isdigit(text[0])) return false;
  for (const char c : text) {
    if (!absl::ascii_isalnum(c) && c != '_') return false;
  }
  return true;
}

// Characters of text, or bytes, in quotes. Bytes above ASCII are escaped where they are no
// character of UTF-8.
std::string Quoted(std::string_view text, bool is_text) {
  std::string quoted = is_text ? "'" : "b'";
  for (size_t characters = 0; !text.empty(); ++characters) {
    if (characters == kMaxKeyCharacters) return absl::StrCat(quoted, kCut, "'");
    const size_t length = is_text ? Utf8CharacterBytes(text) : 1;
    if (length > 1) {
      quoted.append(text.substr(0, length));
    } else if (length == 0) {  // a surrogate
      const int low = (text[1] & 0x3F) << 6 | (text[2] & 0x3F);
      absl::StrAppendFormat(&quoted, "\\u%04x", 0xD000 | low);
    } else if (text[0] == '\'' || text[0] == '\\') {
      quoted.append({'\\', text[0]});
    } else if (absl::ascii_isprint(text[0])) {
      quoted.push_back(text[0]);
    } else {
      absl::StrAppendFormat(&quoted, "\\x%02x", static_cast<uint8_t>(text[0]));
    }
    text.remove_prefix(length == 0 ? 3 : length);
  }
  return quoted + "'";
}

// Replaces the REFERENCEs among `keys` by what they mean, in one pass over the clone however many
// there are.
void Resolve(std::string_view value, std::vector<CloneToken>* keys) {
  std::vector<CloneToken*> references;
  for (CloneToken& key : *keys) {
    if (key.tag == CloneTag::kReference) references.push_back(&key);
  }
  std::sort(references.begin(), references.end(),
            [](const CloneToken* a, const CloneToken* b) { return a->number < b->number; });
  auto reference = references.begin();
  CloneToken token;
  size_t offset = 0;
  for (uint64_t next = 0; reference != references.end();) {
    if (!ReadCloneToken(value, &offset, &token).ok()) return;
    if (!token.numbered) continue;
    const uint64_t number = next++;
    while (reference != references.end() && (*reference)->number == number) **reference++ = token;
  }
}

// The keys that `steps` go by; NONE for a step that goes by none.
std::vector<CloneToken> KeysOf(absl::Span<const ClonePathStep> steps, std::string_view value) {
  std::vector<CloneToken> keys(steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    const ClonePathStep& step = steps[i];
    if (step.index < step.shape->first.size() || !step.shape->HasKeys()) continue;
    size_t offset = step.key_offset;
    // What is being read or written just now may not be there yet.
    if (!ReadCloneToken(value, &offset, &keys[i]).ok()) keys[i] = {};
  }
  Resolve(value, &keys);
  return keys;
}

std::string Repr(const CloneToken& key) {
  switch (key.tag) {
    case CloneTag::kNone:
      return "None";
    case CloneTag::kFalse:
      return "False";
    case CloneTag::kTrue:
      return "True";
    case CloneTag::kInt8:
    case CloneTag::kInt32:
    case CloneTag::kInt64:
      return absl::StrCat(static_cast<int64_t>(key.number));
    case CloneTag::kAscii:
    case CloneTag::kUtf8:
    case CloneTag::kWtf8:
      return Quoted(key.bytes, /*is_text=*/true);
    case CloneTag::kBytes:
      return Quoted(key.bytes, /*is_text=*/false);
    case CloneTag::kObject:
      return CloneKindName(key.kind);
    default:
      return CloneTagName(key.tag);
  }
}

std::string KeyStep(const CloneToken& key) {
  if (key.tag == CloneTag::kAscii && IsIdentifier(key.bytes)) {
    return absl::StrCat(".", absl::string_view(key.bytes.data(), key.bytes.size()));
  }
  return absl::StrCat("[", Repr(key), "]");
}

std::string StepText(const ClonePathStep& step, const CloneToken& key) {
  const CloneShape& shape = *step.shape;
  if (step.index < shape.first.size()) return absl::StrCat(".", shape.first[step.index].name);
  const uint64_t index = step.index - shape.first.size();
  switch (shape.step) {
    case CloneStep::kIndex:
      return absl::StrCat("[", index, "]");
    case CloneStep::kSetItem:
      return absl::StrCat("{", index, "}");
    case CloneStep::kKey:
    case CloneStep::kAttribute:
      break;
  }
  if (index % 2 == 0) return absl::StrCat(".keys()[", index / 2, "]");
  return KeyStep(key);
}

}  // namespace

std::string ClonePath(absl::Span<const ClonePathStep> steps, std::string_view value) {
  const std::vector<CloneToken> keys = KeysOf(steps, value);
  std::string path = "$";
  for (size_t i = 0; i < steps.size(); ++i) {
    absl::StrAppend(&path, StepText(steps[i], keys[i]));
    if (path.size() > kMaxPathBytes) return path + kCut;
  }
  return path;
}

}  // namespace cloister::sandbox
