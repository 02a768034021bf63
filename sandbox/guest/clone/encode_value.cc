// Values without parts, and the way to those that have some.

#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/guest/clone/encode_fast.h"
#include "sandbox/guest/clone/encoder.h"

namespace cloister::sandbox {
namespace {

constexpr uint32_t kMaxNumbers = 1u << 31;

// The bytes that characters take in (W)UTF-8.
struct Measure {
  size_t bytes = 0;
  bool has_surrogate = false;
};

template <typename Character>
Measure MeasureText(const Character* text, Py_ssize_t length) {
  Measure measure;
  for (Py_ssize_t i = 0; i < length; ++i) {
    const uint32_t c = text[i];
    measure.bytes += c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    measure.has_surrogate |= c >= 0xD800 && c < 0xE000;
  }
  return measure;
}

template <typename Character>
void WriteText(const Character* text, Py_ssize_t length, uint8_t* to) {
  for (Py_ssize_t i = 0; i < length; ++i) {
    const uint32_t c = text[i];
    if (c < 0x80) {
      *to++ = static_cast<uint8_t>(c);
    } else if (c < 0x800) {
      *to++ = static_cast<uint8_t>(0xC0 | c >> 6);
      *to++ = static_cast<uint8_t>(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
      *to++ = static_cast<uint8_t>(0xE0 | c >> 12);
      *to++ = static_cast<uint8_t>(0x80 | (c >> 6 & 0x3F));
      *to++ = static_cast<uint8_t>(0x80 | (c & 0x3F));
    } else {
      *to++ = static_cast<uint8_t>(0xF0 | c >> 18);
      *to++ = static_cast<uint8_t>(0x80 | (c >> 12 & 0x3F));
      *to++ = static_cast<uint8_t>(0x80 | (c >> 6 & 0x3F));
      *to++ = static_cast<uint8_t>(0x80 | (c & 0x3F));
    }
  }
}

// Calls `function` with the text's characters in the width they have.
template <typename Function>
auto WithCharacters(PyObject* text, Function function) {
  const Py_ssize_t length = PyUnicode_GET_LENGTH(text);
  switch (PyUnicode_KIND(text)) {
    case PyUnicode_1BYTE_KIND:
      return function(PyUnicode_1BYTE_DATA(text), length);
    case PyUnicode_2BYTE_KIND:
      return function(PyUnicode_2BYTE_DATA(text), length);
    default:
      return function(PyUnicode_4BYTE_DATA(text), length);
  }
}

uint8_t Byte(CloneTag tag) { return static_cast<uint8_t>(tag); }

}  // namespace

bool CloneEncoder::Value(PyObject* object) { return FastValue(object); }

bool CloneEncoder::TooMany() {
  return Exceeds(absl::StrCat("more than ", limits_.values, " values"));
}

bool CloneEncoder::Compound(PyObject* object, PyTypeObject* type) {
  if (type == &PyDict_Type) return Dict(object, CloneTag::kDict, Exists::kAtOnce);
  if (type == &PyList_Type) return List(object);
  if (type == &PyTuple_Type) return Tuple(object);
  if (type == &PyBytes_Type) {
    return ByteString(object, CloneTag::kBytes, PyBytes_AS_STRING(object),
                      static_cast<size_t>(PyBytes_GET_SIZE(object)));
  }
  if (type == &PySet_Type) return Set(object, CloneTag::kSet);
  if (type == &PyFrozenSet_Type) return Set(object, CloneTag::kFrozenset);
  if (type == &PyByteArray_Type) {
    return ByteString(object, CloneTag::kBytearray, PyByteArray_AS_STRING(object),
                      static_cast<size_t>(PyByteArray_GET_SIZE(object)));
  }
  if (type == &PyComplex_Type) {
    const Py_complex number = PyComplex_AsCComplex(object);
    out_.Put(Byte(CloneTag::kComplex));
    out_.PutFixed(number.real);
    out_.PutFixed(number.imag);
    return true;
  }
  if (object == Py_Ellipsis) return out_.Put(Byte(CloneTag::kEllipsis)), true;
  if (object == Py_NotImplemented) return out_.Put(Byte(CloneTag::kNotImplemented)), true;
#if PY_VERSION_HEX >= 0x030F0000
  if (type == &PyFrozenDict_Type) return Dict(object, CloneTag::kFrozendict, Exists::kLater);
#endif
  return Object(object, type);
}

CloneEncoder::Start CloneEncoder::Begin(PyObject* object, CloneTag tag, Exists exists) {
  if (!Room(kSmallCloneBytes)) return Start::kFailed;
  // Nobody but its container has it: it will not be met again.
  if (Py_REFCNT(object) == 1) return out_.Put(Byte(tag)), Start::kNew;
  CloneMemo::Slot* slot = memo_.Find(object);
  if (slot->object == nullptr) {
    if (memo_.count() == kMaxNumbers) return Exceeds("too many objects"), Start::kFailed;
    if (!memo_.Add(slot, object, exists == Exists::kLater)) {
      PyErr_NoMemory();
      return Start::kFailed;
    }
    out_.Put(Byte(tag) | kCloneNumbered);
    return Start::kNew;
  }
  if (slot->is_pending) {
    Refuse(absl::StrCat(TypeName(Py_TYPE(object)), " that contains itself cannot be cloned"));
    return Start::kFailed;
  }
  out_.Put(Byte(CloneTag::kReference));
  out_.PutVarint(slot->number);
  return Start::kReference;
}

CloneEncoder::Start CloneEncoder::BeginObject(PyObject* object, CloneKind kind, size_t count,
                                              Exists exists) {
  const Start start = Begin(object, CloneTag::kObject, exists);
  if (start == Start::kNew) {
    out_.Put(static_cast<uint8_t>(kind));
    out_.PutVarint(count);
  }
  return start;
}

bool CloneEncoder::IntField(int64_t number) {
  if (!Room(kSmallCloneBytes)) return false;
  if (number == static_cast<int8_t>(number)) {
    out_.Put(Byte(CloneTag::kInt8));
    out_.PutFixed(static_cast<int8_t>(number));
  } else if (number == static_cast<int32_t>(number)) {
    out_.Put(Byte(CloneTag::kInt32));
    out_.PutFixed(static_cast<int32_t>(number));
  } else {
    out_.Put(Byte(CloneTag::kInt64));
    out_.PutFixed(number);
  }
  return true;
}

bool CloneEncoder::LargeInt(PyObject* number) {
  int overflow = 0;
  const int64_t value = PyLong_AsLongLongAndOverflow(number, &overflow);
  if (overflow == 0) return IntField(value);
  // May be one more than needed.
  const auto wanted =
      static_cast<size_t>(PyLong_AsNativeBytes(number, nullptr, 0, Py_ASNATIVEBYTES_LITTLE_ENDIAN));
  if (!Room(wanted + kSmallCloneBytes)) return false;
  const size_t start = out_.size();
  // The length in front takes as many bytes whether or not one is cut off, or the number is moved.
  out_.Put(Byte(CloneTag::kBigInt));
  out_.PutVarint(wanted);
  uint8_t* bytes = out_.Skip(wanted);
  if (PyLong_AsNativeBytes(number, bytes, static_cast<Py_ssize_t>(wanted),
                           Py_ASNATIVEBYTES_LITTLE_ENDIAN) < 0) {
    return false;
  }
  const uint8_t sign = bytes[wanted - 1] & 0x80 ? 0xFF : 0;
  size_t size = wanted;
  while (size > 1 && bytes[size - 1] == sign && (bytes[size - 2] & 0x80) == (sign & 0x80)) --size;
  if (size == wanted) return true;
  const std::string exact(reinterpret_cast<char*>(bytes), size);
  out_.Truncate(start + 1);
  out_.PutVarint(size);
  out_.PutBytes(exact.data(), size);
  return true;
}

bool CloneEncoder::WideText(PyObject* text) {
  const Measure measure = WithCharacters(text, [](const auto* characters, Py_ssize_t length) {
    return MeasureText(characters, length);
  });
  const bool is_ascii = measure.bytes == static_cast<size_t>(PyUnicode_GET_LENGTH(text));
  const Start start = Begin(text, measure.has_surrogate ? CloneTag::kWtf8
                                  : is_ascii            ? CloneTag::kAscii
                                                        : CloneTag::kUtf8);
  if (start != Start::kNew) return start == Start::kReference;
  if (!Room(measure.bytes + kMaxVarintBytes)) return false;
  out_.PutVarint(measure.bytes);
  uint8_t* bytes = out_.Skip(measure.bytes);
  WithCharacters(text, [bytes](const auto* characters, Py_ssize_t length) {
    WriteText(characters, length, bytes);
  });
  return true;
}

bool CloneEncoder::ByteString(PyObject* object, CloneTag tag, const char* bytes, size_t size) {
  const Start start = Begin(object, tag);
  if (start != Start::kNew) return start == Start::kReference;
  if (!Room(size + kMaxVarintBytes)) return false;
  out_.PutVarint(size);
  if (size > 0) out_.PutBytes(bytes, size);
  return true;
}

bool CloneEncoder::Field(PyRef made) {
  // Null where the standard library failed to make it, with a Python exception set.
  if (!made) return false;
  PyObject* object = made.get();
  kept_.push_back(std::move(made));
  return Value(object);
}

bool CloneEncoder::TextField(std::string_view text) {
  return Field(PyRef::Steal(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace")));
}

}  // namespace cloister::sandbox
