// Text and bytes.

#include <cstring>
#include <vector>

#include "sandbox/guest/clone/decoder.h"

namespace cloister::sandbox {
namespace {

// The top bits of eight bytes each.
constexpr uint64_t kNotAscii = 0x8080808080808080u;

// Copies text and says whether it is ASCII, in one pass over what is mostly short.
bool CopyAscii(uint8_t* out, const char* in, size_t count) {
  uint64_t bits = 0;
  const auto part = [out, in, &bits](size_t at, auto word) {
    memcpy(&word, in + at, sizeof(word));
    memcpy(out + at, &word, sizeof(word));
    bits |= word;
  };
  if (count >= sizeof(uint64_t)) {
    // The last one overlaps the one before.
    for (size_t at = 0; at + sizeof(uint64_t) < count; at += sizeof(uint64_t)) part(at, uint64_t{});
    part(count - sizeof(uint64_t), uint64_t{});
  } else if (count >= sizeof(uint32_t)) {
    part(0, uint32_t{});
    part(count - sizeof(uint32_t), uint32_t{});
  } else {
    for (size_t at = 0; at < count; ++at) part(at, uint8_t{});
  }
  return (bits & kNotAscii) == 0;
}

// The character at the front of [at, end), surrogates among them, and how many bytes it takes; 0
// where there is none.
size_t ReadCharacter(const uint8_t* at, const uint8_t* end, Py_UCS4* character) {
  const uint8_t first = *at;
  const size_t size = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (size == 0 || first > 0xF4 || static_cast<size_t>(end - at) < size) return 0;
  Py_UCS4 value = size == 1 ? first : first & (0xFFu >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((at[i] & 0xC0) != 0x80) return 0;
    value = value << 6 | (at[i] & 0x3Fu);
  }
  *character = value;
  return (size == 3 && value < 0x800) || (size == 4 && (value < 0x10000 || value > 0x10FFFF))
             ? 0
             : size;
}

}  // namespace

PyObject* CloneDecoder::Ascii() {
  uint64_t size;
  if (!Count(&size)) return nullptr;
  const char* bytes = at_;
  // There is one object for each character, and one for no text at all.
  if (size < 2) {
    if (size == 1 && static_cast<uint8_t>(*bytes) >= 0x80) return Damaged("no ASCII");
    at_ += size;
    return PyUnicode_FromStringAndSize(bytes, static_cast<Py_ssize_t>(size));
  }
  PyObject* text = PyUnicode_New(static_cast<Py_ssize_t>(size), 127);
  if (text == nullptr) return nullptr;
  if (!CopyAscii(PyUnicode_1BYTE_DATA(text), bytes, size)) {
    Py_DECREF(text);
    return Damaged("no ASCII");
  }
  at_ += size;
  return text;
}

PyObject* CloneDecoder::Utf8() {
  uint64_t size;
  if (!Count(&size)) return nullptr;
  PyObject* text = PyUnicode_DecodeUTF8(at_, static_cast<Py_ssize_t>(size), "strict");
  if (text == nullptr && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) {
    PyErr_Clear();
    return Damaged("no UTF-8");
  }
  if (text != nullptr && PyUnicode_IS_ASCII(text)) {
    Py_DECREF(text);
    return Damaged("ASCII with a wider tag");
  }
  at_ += size;
  return text;
}

// Without the codec, whose handling of surrogates a program can replace.
PyObject* CloneDecoder::Wtf8() {
  uint64_t size;
  if (!Count(&size)) return nullptr;
  const auto* at = reinterpret_cast<const uint8_t*>(at_);
  const uint8_t* end = at + size;
  std::vector<Py_UCS4> characters;
  characters.reserve(size);
  bool has_surrogate = false;
  while (at < end) {
    Py_UCS4 character;
    const size_t count = ReadCharacter(at, end, &character);
    if (count == 0) return Damaged("no UTF-8");
    has_surrogate |= character >= 0xD800 && character < 0xE000;
    characters.push_back(character);
    at += count;
  }
  if (!has_surrogate) return Damaged("UTF-8 with a wider tag");
  at_ += size;
  return PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, characters.data(),
                                   static_cast<Py_ssize_t>(characters.size()));
}

PyObject* CloneDecoder::ByteString(bool is_mutable) {
  uint64_t size;
  if (!Count(&size)) return nullptr;
  const char* bytes = at_;
  at_ += size;
  return is_mutable ? PyByteArray_FromStringAndSize(bytes, static_cast<Py_ssize_t>(size))
                    : PyBytes_FromStringAndSize(bytes, static_cast<Py_ssize_t>(size));
}

}  // namespace cloister::sandbox
