#include "sandbox/guest/python_object.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kMaxErrorBytes = 4096;

// `text` without what is after `max_bytes`, not cut within a character.
std::string_view Head(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  size_t end = max_bytes;
  while (end > 0 && (text[end] & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

std::string_view Tail(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  size_t begin = text.size() - max_bytes;
  while (begin < text.size() && (text[begin] & 0xC0) == 0x80) ++begin;
  return text.substr(begin);
}

std::string Encode(PyObject* text) {
  PyRef bytes = PyRef::Steal(PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace"));
  if (!bytes) {
    PyErr_Clear();
    return "";
  }
  return std::string(PyBytes_AS_STRING(bytes.get()),
                     static_cast<size_t>(PyBytes_GET_SIZE(bytes.get())));
}

// Encodes characters [begin, end) only, so that a huge text is never held twice.
std::string EncodeSlice(PyObject* text, Py_ssize_t begin, Py_ssize_t end) {
  PyRef slice = PyRef::Steal(PyUnicode_Substring(text, begin, end));
  if (!slice) {
    PyErr_Clear();
    return "";
  }
  return Encode(slice.get());
}

}  // namespace

absl::Status TakePythonError(absl::string_view what) {
  PyRef exception = PyRef::Steal(PyErr_GetRaisedException());
  if (!exception) return absl::InternalError(absl::StrCat(what, ": failed without an exception"));
  PyRef text = PyRef::Steal(PyObject_Str(exception.get()));
  if (!text) PyErr_Clear();
  return absl::FailedPreconditionError(
      absl::StrCat(what, ": ", Py_TYPE(exception.get())->tp_name, ": ",
                   ToUtf8(text.get(), kMaxErrorBytes, Cut::kMiddle)));
}

std::string ToUtf8(PyObject* text, size_t max_bytes, Cut cut, bool* truncated) {
  if (truncated != nullptr) *truncated = false;
  if (text == nullptr || !PyUnicode_Check(text)) return "";
  const Py_ssize_t length = PyUnicode_GET_LENGTH(text);
  const Py_ssize_t limit = static_cast<Py_ssize_t>(max_bytes);
  if (length <= limit) {
    std::string encoded = Encode(text);
    if (encoded.size() <= max_bytes) return encoded;
  }
  if (truncated != nullptr) *truncated = true;
  if (cut == Cut::kEnd) {
    return std::string(Head(EncodeSlice(text, 0, std::min(length, limit)), max_bytes));
  }
  constexpr std::string_view kMark = "\n... cut here ...\n";
  const size_t half = (max_bytes - kMark.size()) / 2;
  const Py_ssize_t half_length = std::min(length, static_cast<Py_ssize_t>(half));
  std::string kept(Head(EncodeSlice(text, 0, half_length), half));
  kept += kMark;
  kept += Tail(EncodeSlice(text, length - half_length, length), half);
  return kept;
}

void CopyDocumentation(PyObject* original, PyMethodDef* definition) {
  if (!PyCFunction_Check(original)) return;
  // The same text in each of them, but they may do it at the same time.
  __atomic_store_n(&definition->ml_doc,
                   reinterpret_cast<PyCFunctionObject*>(original)->m_ml->ml_doc, __ATOMIC_RELAXED);
}

PyRef FromFileSystem(std::string_view bytes) {
  return PyRef::Steal(
      PyUnicode_DecodeFSDefaultAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
}

}  // namespace cloister::sandbox
