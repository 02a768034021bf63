// The words of a clone's value: one tag with what directly follows it, without the values inside.
// Whether words stand where they may is another question (grammar.h).
//
// Ownership: views point into the bytes read. Thread-safety: functions without state.

#ifndef CLOISTER_SANDBOX_CLONE_TOKEN_H_
#define CLOISTER_SANDBOX_CLONE_TOKEN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "sandbox/clone/format.h"

namespace cloister::sandbox {

struct CloneToken {
  CloneTag tag = CloneTag::kNone;
  CloneKind kind = CloneKind::kRange;  // of OBJECT
  bool numbered = false;
  // INT8 to INT64: two's complement. TUPLE to OBJECT: the count. BUFFER, REFERENCE: the number.
  uint64_t number = 0;
  // BIG_INT, FLOAT, COMPLEX (real part first), text, BYTES, BYTEARRAY: the content.
  std::string_view bytes = {};
  size_t offset = 0;  // from the start of the clone
};

// Reads the token at `offset` of `value`, the value of a hostile clone, and moves `offset` behind
// it. A count may be larger than what follows. INVALID_ARGUMENT: what is wrong with it, without the
// place.
absl::Status ReadCloneToken(std::string_view value, size_t* offset, CloneToken* token);

// Appends a token; its form is the shortest that there is (see below).
void AppendCloneToken(const CloneToken& token, std::string* value);

// The bytes that AppendCloneToken() appends for `token` at most.
inline size_t MaxTokenBytes(const CloneToken& token) { return token.bytes.size() + 16; }

// Whether values of `tag` may have a reference number.
inline constexpr bool IsNumbered(CloneTag tag) {
  return tag >= CloneTag::kAscii && tag <= CloneTag::kObject;
}

// Whether other values follow it that belong to it.
inline constexpr bool IsContainer(CloneTag tag) {
  return tag >= CloneTag::kTuple && tag <= CloneTag::kObject;
}

inline constexpr bool IsDict(CloneTag tag) {
  return tag == CloneTag::kDict || tag == CloneTag::kFrozendict;
}

// The tag of the shortest form of a number.
CloneTag IntTag(int64_t number);

// `bytes`, two's complement and not empty, without what repeats the sign.
std::string_view ShortestBigInt(std::string_view bytes);

// The narrowest of the three tags for text; none for what is no text.
std::optional<CloneTag> TextTag(std::string_view text);

// How CLONE.md calls it.
const char* CloneTagName(CloneTag tag);
const char* CloneKindName(CloneKind kind);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_CLONE_TOKEN_H_
