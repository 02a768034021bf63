// What most values are, in line with the walks over containers: text, small numbers, and what was
// met before.

#ifndef CLOISTER_SANDBOX_GUEST_CLONE_ENCODE_FAST_H_
#define CLOISTER_SANDBOX_GUEST_CLONE_ENCODE_FAST_H_

#include "sandbox/guest/clone/encoder.h"

namespace cloister::sandbox {

// Room that every value without text or bytes of its own fits into.
inline constexpr size_t kSmallCloneBytes = 32;

[[gnu::always_inline]] inline CloneEncoder::Start CloneEncoder::FastBegin(PyObject* object,
                                                                          CloneTag tag) {
  // Nobody but its container has it: it will not be met again.
  if (Py_REFCNT(object) == 1) {
    out_.Put(static_cast<uint8_t>(tag));
    return Start::kNew;
  }
  const CloneMemo::Slot* slot = memo_.Find(object);
  if (slot->object == nullptr || slot->is_pending) return Begin(object, tag);
  out_.Put(static_cast<uint8_t>(CloneTag::kReference));
  out_.PutVarint(slot->number);
  return Start::kReference;
}

// With room for kSmallCloneBytes.
[[gnu::always_inline]] inline bool CloneEncoder::FastText(PyObject* text) {
  if (!PyUnicode_IS_COMPACT_ASCII(text)) return WideText(text);
  const Start start = FastBegin(text, CloneTag::kAscii);
  if (start != Start::kNew) return start == Start::kReference;
  const auto size = static_cast<size_t>(PyUnicode_GET_LENGTH(text));
  if (!Room(size + kMaxVarintBytes)) return false;
  out_.PutVarint(size);
  out_.PutShort(PyUnicode_1BYTE_DATA(text), size);
  return true;
}

// With room for kSmallCloneBytes.
[[gnu::always_inline]] inline bool CloneEncoder::FastInt(PyObject* number) {
  auto* compact = reinterpret_cast<PyLongObject*>(number);
  if (!PyUnstable_Long_IsCompact(compact)) return LargeInt(number);
  const Py_ssize_t value = PyUnstable_Long_CompactValue(compact);
  if (value != static_cast<int8_t>(value)) {
    if (value != static_cast<int32_t>(value)) return LargeInt(number);
    out_.Put(static_cast<uint8_t>(CloneTag::kInt32));
    out_.PutFixed(static_cast<int32_t>(value));
    return true;
  }
  out_.Put(static_cast<uint8_t>(CloneTag::kInt8));
  out_.PutFixed(static_cast<int8_t>(value));
  return true;
}

[[gnu::always_inline]] inline bool CloneEncoder::FastValue(PyObject* object) {
  if (++values_ > limits_.values) return TooMany();
  if (!Room(kSmallCloneBytes)) return false;
  PyTypeObject* type = Py_TYPE(object);
  if (type == &PyUnicode_Type) return FastText(object);
  if (type == &PyLong_Type) return FastInt(object);
  if (object == Py_None) return out_.Put(static_cast<uint8_t>(CloneTag::kNone)), true;
  if (type == &PyFloat_Type) {
    out_.Put(static_cast<uint8_t>(CloneTag::kFloat));
    out_.PutFixed(PyFloat_AS_DOUBLE(object));
    return true;
  }
  if (type == &PyBool_Type) {
    out_.Put(static_cast<uint8_t>(object == Py_True ? CloneTag::kTrue : CloneTag::kFalse));
    return true;
  }
  return Compound(object, type);
}

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_CLONE_ENCODE_FAST_H_
