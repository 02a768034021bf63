// What most values are, in line with the reading of containers: what was met before, short text,
// small numbers.

#ifndef CLOISTER_SANDBOX_GUEST_CLONE_DECODE_FAST_H_
#define CLOISTER_SANDBOX_GUEST_CLONE_DECODE_FAST_H_

#include <cstring>

#include "sandbox/guest/clone/decoder.h"

namespace cloister::sandbox {

// Called where a container is filled, and worth its size there.
[[gnu::always_inline]] inline PyObject* CloneDecoder::FastValue() {
  // A tag, and what is one byte behind it in these.
  if (left() < 2 || values_ >= limits_.values) return Value();
  const auto next = static_cast<uint8_t>(at_[1]);
  switch (static_cast<CloneTag>(*at_)) {
    case CloneTag::kReference: {
      // Within a tuple it may be that tuple.
      if (next >= 0x80 || next >= numbered_.size() || barrier_ != open_.size()) return Value();
      PyObject* object = numbered_[next].object;
      if (object == nullptr) return Value();
      at_ += 2;
      ++values_;
      return Py_NewRef(object);
    }
    case CloneTag::kAscii:
      ++at_;
      ++values_;
      return Ascii();
    case CloneTag::kInt8:
      at_ += 2;
      ++values_;
      return PyLong_FromLong(static_cast<int8_t>(next));
    case CloneTag::kInt32: {
      int32_t number;
      if (left() <= sizeof(number)) return Value();
      memcpy(&number, at_ + 1, sizeof(number));
      if (number == static_cast<int8_t>(number)) return Value();
      at_ += 1 + sizeof(number);
      ++values_;
      return PyLong_FromLong(number);
    }
    default:
      return Value();
  }
}

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_CLONE_DECODE_FAST_H_
