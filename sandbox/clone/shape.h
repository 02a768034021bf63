// What may be inside which value: proto/CLONE.md's tables of tags and kinds as data.
//
// Everything here is constant.

#ifndef CLOISTER_SANDBOX_CLONE_SHAPE_H_
#define CLOISTER_SANDBOX_CLONE_SHAPE_H_

#include <cstdint>

#include "absl/types/span.h"
#include "sandbox/clone/format.h"

namespace cloister::sandbox {

// A tag, or a kind with the tag OBJECT, as one number below 64, so that a set of types is one word.
enum class CloneType : uint8_t {};

inline constexpr uint8_t kFirstKindType = 32;

inline constexpr CloneType TypeOf(CloneTag tag) { return CloneType{static_cast<uint8_t>(tag)}; }
inline constexpr CloneType TypeOf(CloneKind kind) {
  return static_cast<CloneType>(kFirstKindType + static_cast<uint8_t>(kind));
}
inline constexpr uint64_t TypeBit(CloneType type) {
  return uint64_t{1} << static_cast<uint8_t>(type);
}

// How CLONE.md calls it.
const char* CloneTypeName(CloneType type);
const char* CloneSourceName(CloneBufferSource source);

// How the way to a value names what comes after the fixed fields.
enum class CloneStep : uint8_t {
  kIndex,      // [i]
  kSetItem,    // {i}
  kKey,        // .key or [repr]; the keys are .keys()[i]
  kAttribute,  // .name; the names are .keys()[i]
};

enum class CloneHash : uint8_t {
  kNever,
  kOfFields,    // if all its fields are hashable
  kWhenRead,    // once it has been read as a whole
  kByIdentity,  // once it exists
};

struct CloneShape;

// A value inside another one.
struct CloneField {
  const char* name = nullptr;  // among the fixed fields, as the way to it says
  const char* expects = nullptr;
  uint64_t fits = 0;  // bits of CloneType
  bool is_hashable = false;
  // Neither numbered nor a REFERENCE, and of this shape instead of its type's.
  const CloneShape* in_place = nullptr;
  uint8_t sources = 0;  // of a BUFFER: SourceBits
};

inline constexpr uint8_t SourceBit(CloneBufferSource source) {
  return static_cast<uint8_t>(1u << static_cast<uint32_t>(source));
}

inline constexpr uint64_t kWhenWhole = ~uint64_t{0};

struct CloneShape {
  // The fixed fields, then all of `rest`, in turn, as often as there are more.
  absl::Span<const CloneField> first = {};
  absl::Span<const CloneField> rest = {};
  CloneStep step = CloneStep::kIndex;
  CloneHash hash = CloneHash::kNever;
  // A REFERENCE may mean it once so many of its fields are read, and in any case all of them.
  uint64_t exists_after = kWhenWhole;
  bool is_array = false;  // `rest` are its dimensions

  // What stands as number `index`, which is one that CountFits().
  const CloneField& FieldAt(uint64_t index) const {
    if (index < first.size()) return first[index];
    return rest[HasKeys() ? (index - first.size()) % 2 : 0];
  }

  // Whether it may have `count` values.
  bool CountFits(uint64_t count) const {
    if (count < first.size()) return false;
    const uint64_t more = count - first.size();
    return rest.empty() ? more == 0 : !HasKeys() || more % 2 == 0;
  }

  bool HasKeys() const { return rest.size() == 2; }
  bool IsKey(uint64_t index) const {
    return HasKeys() && index >= first.size() && (index - first.size()) % 2 == 0;
  }
};

// The shape of a type that has values inside: TUPLE to FROZENDICT, and all kinds.
const CloneShape& ShapeOf(CloneType type);

// Of the outermost value.
extern const CloneField kAnyValue;

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_CLONE_SHAPE_H_
