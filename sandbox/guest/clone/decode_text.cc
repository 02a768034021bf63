// Text and bytes.

#include <cstring>
#include <vector>

#include "sandbox/guest/clone/clone_bytes.h"
#include "sandbox/guest/clone/decoder.h"

namespace cloister::sandbox {
namespace {

bool IsAscii(const char* text, size_t size) {
  uint64_t word;
  uint64_t high = 0;
  size_t i = 0;
  for (; i + sizeof(word) <= size; i += sizeof(word)) {
    memcpy(&word, text + i, sizeof(word));
    high |= word;
  }
  for (; i < size; ++i) high |= static_cast<uint8_t>(text[i]);
  return (high & 0x8080808080808080u) == 0;
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
  if (!IsAscii(bytes, size)) return Damaged("no ASCII");
  at_ += size;
  // There is one object for each character, and one for no text at all.
  if (size < 2) return PyUnicode_FromStringAndSize(bytes, static_cast<Py_ssize_t>(size));
  PyObject* text = PyUnicode_New(static_cast<Py_ssize_t>(size), 127);
  if (text != nullptr) CopyShort(PyUnicode_1BYTE_DATA(text), bytes, size);
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
