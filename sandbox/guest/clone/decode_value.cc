// Tags, numbers, and references.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "sandbox/guest/clone/decoder.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kShortestBigInt = 9;

}  // namespace

PyObject* CloneDecoder::Keep(PyObject* object, bool is_numbered) {
  if (is_numbered && object != nullptr) Exists(NewNumber(true), object);
  return object;
}

PyObject* CloneDecoder::TooMany() {
  return Fail(absl::StrCat("clone has more than ", limits_.values, " values"));
}

PyObject* CloneDecoder::Value() {
  if (at_ == end_) return Damaged("it ends early");
  if (++values_ > limits_.values) return TooMany();
  const auto byte = static_cast<uint8_t>(*at_++);
  const bool is_numbered = (byte & kCloneNumbered) != 0;
  const auto tag = static_cast<CloneTag>(byte & ~kCloneNumbered);
  switch (tag) {
    case CloneTag::kAscii:
      return Keep(Ascii(), is_numbered);
    case CloneTag::kUtf8:
      return Keep(Utf8(), is_numbered);
    case CloneTag::kWtf8:
      return Keep(Wtf8(), is_numbered);
    case CloneTag::kBytes:
      return Keep(ByteString(false), is_numbered);
    case CloneTag::kBytearray:
      return Keep(ByteString(true), is_numbered);
    case CloneTag::kTuple:
      return Tuple(is_numbered);
    case CloneTag::kList:
      return List(is_numbered);
    case CloneTag::kSet:
      return Set(is_numbered, false);
    case CloneTag::kFrozenset:
      return Set(is_numbered, true);
    case CloneTag::kDict:
      return Dict(is_numbered);
    case CloneTag::kFrozendict:
      return FrozenDict(is_numbered);
    case CloneTag::kObject:
      return Object(is_numbered);
    default:
      return is_numbered ? Damaged("a number for what has none") : Plain(tag);
  }
}

// What has no identity.
PyObject* CloneDecoder::Plain(CloneTag tag) {
  int8_t byte;
  int32_t word;
  int64_t number;
  double real;
  double imaginary;
  switch (tag) {
    case CloneTag::kReference:
      return Reference();
    case CloneTag::kNone:
      return Py_None;
    case CloneTag::kFalse:
      return Py_False;
    case CloneTag::kTrue:
      return Py_True;
    case CloneTag::kEllipsis:
      return Py_NewRef(Py_Ellipsis);
    case CloneTag::kNotImplemented:
      return Py_NewRef(Py_NotImplemented);
    case CloneTag::kInt8:
      return Fixed(&byte) ? PyLong_FromLong(byte) : nullptr;
    case CloneTag::kInt32:
      if (!Fixed(&word)) return nullptr;
      if (word == static_cast<int8_t>(word)) return Damaged("a number longer than need be");
      return PyLong_FromLong(word);
    case CloneTag::kInt64:
      if (!Fixed(&number)) return nullptr;
      if (number == static_cast<int32_t>(number)) return Damaged("a number longer than need be");
      return PyLong_FromLongLong(number);
    case CloneTag::kBigInt:
      return BigInt();
    case CloneTag::kFloat:
      return Fixed(&real) ? PyFloat_FromDouble(real) : nullptr;
    case CloneTag::kComplex:
      return Fixed(&real) && Fixed(&imaginary) ? PyComplex_FromDoubles(real, imaginary) : nullptr;
    default:
      return Damaged("an unknown tag");
  }
}

PyObject* CloneDecoder::BigInt() {
  uint64_t size;
  if (!Count(&size)) return nullptr;
  const auto* bytes = reinterpret_cast<const uint8_t*>(at_);
  if (size < kShortestBigInt) return Damaged("a number longer than need be");
  const uint8_t last = bytes[size - 1];
  const bool next_is_negative = (bytes[size - 2] & 0x80) != 0;
  if ((last == 0 && !next_is_negative) || (last == 0xFF && next_is_negative)) {
    return Damaged("a number longer than need be");
  }
  at_ += size;
  return PyLong_FromNativeBytes(bytes, size, Py_ASNATIVEBYTES_LITTLE_ENDIAN);
}

PyObject* CloneDecoder::Reference() {
  uint64_t number;
  if (at_ != end_ && static_cast<uint8_t>(*at_) < 0x80) {
    number = static_cast<uint8_t>(*at_++);
  } else if (!Varint(&number)) {
    return nullptr;
  }
  if (number >= numbered_.size()) return Damaged("a reference to nothing");
  Numbered& numbered = numbered_[number];
  if (numbered.object == nullptr) {
    if (numbered.registered == nullptr) return Damaged("a reference to what does not exist yet");
    // The object its state refers to is this one, until the hook has made what it is to be.
    numbered.object = numbered.registered->tp_alloc(numbered.registered, 0);
    if (numbered.object == nullptr) return nullptr;
  }
  if (barrier_ != open_.size() && std::find(open_.begin() + static_cast<ptrdiff_t>(barrier_),
                                            open_.end(), numbered.object) != open_.end()) {
    return Damaged("a tuple in itself");
  }
  return Py_NewRef(numbered.object);
}

}  // namespace cloister::sandbox
