#include "sandbox/clone/grammar.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/clone/path.h"

namespace cloister::sandbox {
namespace {

constexpr uint8_t kExists = 1;
constexpr uint8_t kWhole = 2;
constexpr uint8_t kHashable = 4;
constexpr uint8_t kReferenced = 8;

constexpr uint32_t kNotNumbered = std::numeric_limits<uint32_t>::max();

absl::Status Wrong(absl::string_view what) { return absl::InvalidArgumentError(what); }

bool IsTupleOrFrozenset(CloneType type) {
  return type == TypeOf(CloneTag::kTuple) || type == TypeOf(CloneTag::kFrozenset);
}

bool IsHashableLeaf(CloneTag tag) { return tag <= CloneTag::kBytes; }

bool IsHashable(const CloneShape& shape, bool fields_are) {
  switch (shape.hash) {
    case CloneHash::kNever:
      return false;
    case CloneHash::kOfFields:
      return fields_are;
    case CloneHash::kWhenRead:
    case CloneHash::kByIdentity:
      return true;
  }
  return false;
}

// The error of `count` fields that do not fit.
absl::Status WrongCount(CloneType type, const CloneShape& shape, uint64_t count) {
  const size_t first = shape.first.size();
  const absl::string_view more = shape.rest.empty()       ? ""
                                 : shape.rest.size() == 1 ? " or more"
                                                          : " and pairs";
  return Wrong(absl::StrCat(CloneTypeName(type), " has ", count, " fields and not ", first, more));
}

}  // namespace

absl::Status CloneGrammar::Take(const CloneToken& token) {
  offset_ = token.offset;
  if (complete_) return Wrong("there is more behind the value");
  if (++values_ > limits_.values) {
    return Wrong(absl::StrCat("more than ", limits_.values, " values"));
  }
  if (frames_.size() >= limits_.depth) {
    return Wrong(absl::StrCat("nested deeper than ", limits_.depth));
  }
  const CloneField& field = Expected();
  if (!frames_.empty()) {
    Frame& frame = frames_.back();
    if (frame.shape->IsKey(frame.next)) frame.key_offset = token.offset;
  }
  if (token.tag == CloneTag::kReference) return TakeReference(field, token.number);

  const CloneType type = token.tag == CloneTag::kObject ? TypeOf(token.kind) : TypeOf(token.tag);
  CLOISTER_RETURN_IF_ERROR(CheckType(field, type));
  if (token.tag == CloneTag::kBuffer) CLOISTER_RETURN_IF_ERROR(TakeBuffer(token.number));
  uint32_t number = kNotNumbered;
  const bool is_container = IsContainer(token.tag);
  if (token.numbered) {
    if (field.in_place != nullptr) return Wrong("is numbered, where it has no identity");
    number = static_cast<uint32_t>(objects_.size());
    const uint8_t hashable = IsHashableLeaf(token.tag) ? kHashable : 0;
    objects_.push_back(
        {type, static_cast<uint8_t>(is_container ? 0 : kExists | kWhole | hashable)});
  }
  if (is_container) return Open(field, token, type, number);
  return Close(token.offset, IsHashableLeaf(token.tag));
}

const CloneField& CloneGrammar::Expected() const {
  return frames_.empty() ? kAnyValue : frames_.back().shape->FieldAt(frames_.back().next);
}

absl::Status CloneGrammar::CheckType(const CloneField& field, CloneType type) const {
  if ((field.fits & TypeBit(type)) != 0) return absl::OkStatus();
  return Wrong(absl::StrCat(CloneTypeName(type), " stands where ", field.expects, " belongs"));
}

absl::Status CloneGrammar::TakeBuffer(uint64_t number) {
  if (number != buffers_used_) {
    return Wrong(absl::StrCat("buffer ", number, " is used and not ", buffers_used_));
  }
  if (number >= buffer_count_) return Wrong(absl::StrCat("more than ", buffer_count_, " buffers"));
  ++buffers_used_;
  return absl::OkStatus();
}

absl::Status CloneGrammar::TakeReference(const CloneField& field, uint64_t number) {
  if (field.in_place != nullptr) return Wrong("a REFERENCE stands where it is written in place");
  if (number >= objects_.size()) {
    return Wrong(absl::StrCat("refers to object ", number, ", and there are ", objects_.size()));
  }
  Object& object = objects_[number];
  CLOISTER_RETURN_IF_ERROR(CheckType(field, object.type));
  if ((object.flags & kExists) == 0) {
    return Wrong(absl::StrCat("is in a cycle through ", CloneTypeName(object.type),
                              ", which cannot be made before what is inside it"));
  }
  if ((object.flags & kWhole) == 0 && !frames_.empty() && IsTupleOrFrozenset(object.type) &&
      number >= frames_.back().run_start) {
    return Wrong(absl::StrCat(CloneTypeName(object.type), " is in itself"));
  }
  object.flags |= kReferenced;
  return Close(offset_, (object.flags & kHashable) != 0);
}

absl::Status CloneGrammar::Open(const CloneField& field, const CloneToken& token, CloneType type,
                                uint32_t number) {
  const CloneShape& shape = field.in_place != nullptr ? *field.in_place : ShapeOf(type);
  const uint64_t count = IsDict(token.tag) ? token.number * 2 : token.number;
  if (!shape.CountFits(count)) return WrongCount(type, shape, count);
  if (shape.is_array && count - shape.first.size() > limits_.dimensions) {
    return Wrong(absl::StrCat("more than ", limits_.dimensions, " dimensions"));
  }
  if (shape.exists_after == 0) SetFlags(number, kExists);
  uint32_t run_start = std::numeric_limits<uint32_t>::max();
  if (IsTupleOrFrozenset(type)) {
    const bool goes_on = !frames_.empty() && IsTupleOrFrozenset(frames_.back().type);
    const size_t before = objects_.size() - (number == kNotNumbered ? 0 : 1);
    run_start = goes_on ? frames_.back().run_start : static_cast<uint32_t>(before);
  }
  if (count > 0) {
    frames_.push_back({.shape = &shape,
                       .count = count,
                       .offset = token.offset,
                       .number = number,
                       .run_start = run_start,
                       .type = type});
    return absl::OkStatus();
  }
  const bool is_hashable = IsHashable(shape, true);
  SetFlags(number, static_cast<uint8_t>(kExists | kWhole | (is_hashable ? kHashable : 0)));
  return Close(token.offset, is_hashable);
}

absl::Status CloneGrammar::Close(size_t offset, bool is_hashable) {
  while (!frames_.empty()) {
    Frame& frame = frames_.back();
    const CloneShape& shape = *frame.shape;
    if (!is_hashable) {
      if (shape.FieldAt(frame.next).is_hashable) {
        offset_ = offset;
        return Wrong("is not hashable");
      }
      frame.is_hashable = false;
    }
    ++frame.next;
    if (frame.next == shape.exists_after) {
      const bool by_identity = shape.hash == CloneHash::kByIdentity;
      SetFlags(frame.number, static_cast<uint8_t>(kExists | (by_identity ? kHashable : 0)));
    }
    if (frame.next < frame.count) return absl::OkStatus();
    is_hashable = IsHashable(shape, frame.is_hashable);
    SetFlags(frame.number, static_cast<uint8_t>(kExists | kWhole | (is_hashable ? kHashable : 0)));
    offset = frame.offset;
    frames_.pop_back();
  }
  complete_ = true;
  return absl::OkStatus();
}

void CloneGrammar::SetFlags(uint32_t number, uint8_t flags) {
  if (number != kNotNumbered) objects_[number].flags |= flags;
}

std::string CloneGrammar::Path(std::string_view value) const {
  std::vector<ClonePathStep> steps;
  steps.reserve(frames_.size());
  for (const Frame& frame : frames_) {
    steps.push_back(
        {frame.shape, frame.next,
         frame.key_offset < kCloneHeaderBytes ? 0 : frame.key_offset - kCloneHeaderBytes});
  }
  return ClonePath(steps, value);
}

std::vector<bool> CloneGrammar::Referenced() const {
  std::vector<bool> referenced(objects_.size());
  for (size_t i = 0; i < objects_.size(); ++i) {
    referenced[i] = (objects_[i].flags & kReferenced) != 0;
  }
  return referenced;
}

}  // namespace cloister::sandbox
