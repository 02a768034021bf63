// Clones for tests, put together piece by piece. A piece is the bytes of one value.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_CLONE_CLONE_BUILDER_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_CLONE_CLONE_BUILDER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/clone/layout.h"
#include "sandbox/clone/token.h"

namespace cloister::sandbox {

using Pieces = std::vector<std::string>;

inline std::string Piece(const CloneToken& token) {
  std::string piece;
  AppendCloneToken(token, &piece);
  return piece;
}

inline std::string None() { return Piece({.tag = CloneTag::kNone}); }
inline std::string True() { return Piece({.tag = CloneTag::kTrue}); }
inline std::string Int(int64_t number) {
  return Piece({.tag = IntTag(number), .number = static_cast<uint64_t>(number)});
}
inline std::string Text(std::string_view text) {
  return Piece({.tag = TextTag(text).value(), .bytes = text});
}
inline std::string Bytes(std::string_view bytes) {
  return Piece({.tag = CloneTag::kBytes, .bytes = bytes});
}
inline std::string Content(CloneTag tag, std::string_view bytes) {
  return Piece({.tag = tag, .bytes = bytes});
}
inline std::string Ref(uint64_t number) {
  return Piece({.tag = CloneTag::kReference, .number = number});
}
inline std::string Buf(uint64_t number) {
  return Piece({.tag = CloneTag::kBuffer, .number = number});
}

inline std::string Join(std::string piece, const Pieces& children) {
  for (const std::string& child : children) piece += child;
  return piece;
}

// TUPLE to FROZENSET; of dicts, keys and values in turn.
inline std::string Of(CloneTag tag, const Pieces& children) {
  const size_t count = IsDict(tag) ? children.size() / 2 : children.size();
  return Join(Piece({.tag = tag, .number = count}), children);
}
inline std::string List(const Pieces& items) { return Of(CloneTag::kList, items); }
inline std::string Tuple(const Pieces& items) { return Of(CloneTag::kTuple, items); }
inline std::string Set(const Pieces& items) { return Of(CloneTag::kSet, items); }
inline std::string Frozenset(const Pieces& items) { return Of(CloneTag::kFrozenset, items); }
inline std::string Dict(const Pieces& entries) { return Of(CloneTag::kDict, entries); }

inline std::string Of(CloneKind kind, const Pieces& fields) {
  return Join(Piece({.tag = CloneTag::kObject, .kind = kind, .number = fields.size()}), fields);
}
inline std::string Global() { return Of(CloneKind::kGlobal, {Text("m"), Text("C")}); }

inline std::string Numbered(std::string piece) {
  piece[0] = static_cast<char>(piece[0] | static_cast<char>(kCloneNumbered));
  return piece;
}

inline std::string Clone(std::string_view value, const std::vector<CloneBufferSpec>& buffers = {}) {
  std::string clone;
  BeginClone(&clone);
  clone.append(value);
  EndClone(buffers, CloneLimits{}, &clone).IgnoreError();
  return clone;
}

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_CLONE_CLONE_BUILDER_H_
