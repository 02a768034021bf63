// Arrays: their form among the values, their content in the clone's buffers.

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sandbox/clone/layout.h"
#include "sandbox/guest/clone/encoder.h"
#include "sandbox/guest/notebook_source.h"
#include "sandbox/guest/python_source.h"

namespace cloister::sandbox {
namespace {

// A view of memory that is released when it goes.
struct View {
  View() = default;
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  ~View() {
    if (buffer.obj != nullptr) PyBuffer_Release(&buffer);
  }
  Py_buffer buffer = {};
};

// Whether memoryview.cast() can make it again.
bool IsNativeFormat(const char* format) {
  if (*format == '@') ++format;
  return *format != 0 && format[1] == 0 && strchr("cbB?hHiIlLqQnNfdeP", *format) != nullptr;
}

}  // namespace

bool CloneEncoder::Buffer(PyRef owner, const void* bytes, size_t size) {
  return Entry({.owner = std::move(owner), .bytes = bytes, .size = size});
}

bool CloneEncoder::Entry(TableEntry entry) {
  if (buffers_.size() == limits_.buffers) {
    return Exceeds(absl::StrCat("more than ", limits_.buffers, " buffers"));
  }
  const size_t size = entry.source == CloneBufferSource::kInline ? entry.size : 0;
  buffer_bytes_ += size + kCloneBufferEntryBytes;
  if (out_.size() + buffer_bytes_ > limits_.bytes || size > limits_.bytes) {
    return Exceeds(absl::StrCat("clone is larger than ", limits_.bytes, " bytes"));
  }
  if (!Room(16)) return false;
  ++values_;
  out_.Put(static_cast<uint8_t>(CloneTag::kBuffer));
  out_.PutVarint(buffers_.size());
  buffers_.push_back(std::move(entry));
  return true;
}

bool CloneEncoder::Array(PyObject* array) {
  const bool is_shared = Py_REFCNT(array) > 1;
  const Start start = BeginObject(array, CloneKind::kArray, 3, Exists::kLater);
  if (start != Start::kNew) return start == Start::kReference;
  PyRef code = PyRef::Steal(PyObject_GetAttrString(array, "typecode"));
  PyRef item_size = PyRef::Steal(PyObject_GetAttrString(array, "itemsize"));
  PyRef bytes = PyRef::Steal(PyObject_CallMethod(array, "tobytes", nullptr));
  if (!code || !item_size || !bytes) return false;
  const void* content = PyBytes_AS_STRING(bytes.get());
  const auto size = static_cast<size_t>(PyBytes_GET_SIZE(bytes.get()));
  if (!Field(std::move(code)) || !Field(std::move(item_size)) ||
      !Buffer(std::move(bytes), content, size)) {
    return false;
  }
  if (is_shared) memo_.Complete(array);
  return true;
}

bool CloneEncoder::MemoryView(PyObject* view) {
  const bool is_shared = Py_REFCNT(view) > 1;
  View held;
  // A view that was released has no content, which Python says as ValueError.
  if (PyObject_GetBuffer(view, &held.buffer, PyBUF_FULL_RO) != 0) {
    PyErr_Clear();
    return Refuse("memoryview that was released cannot be cloned");
  }
  const Py_buffer& buffer = held.buffer;
  const char* format = buffer.format == nullptr ? "B" : buffer.format;
  const bool is_empty_matrix = buffer.ndim > 1 && buffer.len == 0;
  if (!IsNativeFormat(format) || is_empty_matrix) {
    return Refuse(absl::StrCat("memoryview of format ", format, " cannot be cloned"));
  }
  const Start start = BeginObject(view, CloneKind::kMemoryview,
                                  static_cast<size_t>(buffer.ndim) + 4, Exists::kLater);
  if (start != Start::kNew) return start == Start::kReference;
  PyRef bytes = PyRef::Steal(PyBytes_FromStringAndSize(nullptr, buffer.len));
  if (!bytes ||
      PyBuffer_ToContiguous(PyBytes_AS_STRING(bytes.get()), &buffer, buffer.len, 'C') != 0) {
    return false;
  }
  const void* content = PyBytes_AS_STRING(bytes.get());
  values_ += static_cast<size_t>(buffer.ndim) + 1;
  if (!TextField(format) || !IntField(buffer.itemsize) ||
      !Value(buffer.readonly ? Py_True : Py_False) ||
      !Buffer(std::move(bytes), content, static_cast<size_t>(buffer.len))) {
    return false;
  }
  for (int i = 0; i < buffer.ndim; ++i) {
    if (!IntField(buffer.shape[i])) return false;
  }
  if (is_shared) memo_.Complete(view);
  return true;
}

bool CloneEncoder::NumpyArray(PyObject* array) {
  const bool is_shared = Py_REFCNT(array) > 1;
  BeforePython();  // NumPy's
  const PyRef take_apart = GetFunction(LoadNotebookSource("clone"), "array_parts");
  PyRef parts = PyRef::Steal(take_apart ? PyObject_CallOneArg(take_apart.get(), array) : nullptr);
  if (!parts) return false;
  // (dtype, in Fortran order, bytes, shape), or why not.
  if (PyUnicode_CheckExact(parts.get())) return Refuse(ToUtf8(parts.get(), 200, Cut::kEnd));
  PyObject* tuple = parts.get();
  PyRef bytes = PyRef::Borrow(PyTuple_GET_ITEM(tuple, 2));
  PyObject* shape = PyTuple_GET_ITEM(tuple, 3);
  kept_.push_back(std::move(parts));
  const Start start =
      BeginObject(array, CloneKind::kNdarray, static_cast<size_t>(PyTuple_GET_SIZE(shape)) + 3,
                  is_shared ? Exists::kLater : Exists::kAtOnce);
  if (start != Start::kNew) return start == Start::kReference;
  const void* content = PyBytes_AS_STRING(bytes.get());
  const auto size = static_cast<size_t>(PyBytes_GET_SIZE(bytes.get()));
  if (!Value(PyTuple_GET_ITEM(tuple, 0)) || !Value(PyTuple_GET_ITEM(tuple, 1)) ||
      !Buffer(std::move(bytes), content, size)) {
    return false;
  }
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(shape); ++i) {
    if (!Value(PyTuple_GET_ITEM(shape, i))) return false;
  }
  if (is_shared) memo_.Complete(array);
  return true;
}

// Header, table and inline buffers around the value.
bool CloneEncoder::Finish(CloneBytes* clone, size_t value_bytes) {
  const auto aligned = [](size_t offset) {
    return (offset + kCloneBufferAlignment - 1) & ~(kCloneBufferAlignment - 1);
  };
  size_t end = out_.size() + buffers_.size() * kCloneBufferEntryBytes;
  const auto is_inline = [](const TableEntry& entry) {
    return entry.source == CloneBufferSource::kInline;
  };
  for (const TableEntry& entry : buffers_) {
    if (is_inline(entry)) end = aligned(end) + entry.size;
  }
  if (end > limits_.bytes) {
    return Exceeds(absl::StrCat("clone is larger than ", limits_.bytes, " bytes"));
  }
  if (!Room(end - out_.size())) return false;
  uint8_t* header = out_.data();
  memcpy(header, kCloneMagic, sizeof(kCloneMagic));
  header[3] = kCloneVersion;
  const auto count = static_cast<uint32_t>(buffers_.size());
  memcpy(header + 4, &count, sizeof(count));
  const uint64_t size = value_bytes;
  memcpy(header + 8, &size, sizeof(size));
  size_t offset = out_.size() + buffers_.size() * kCloneBufferEntryBytes;
  for (const TableEntry& entry : buffers_) {
    if (is_inline(entry)) offset = aligned(offset);
    out_.PutFixed(static_cast<uint32_t>(entry.source));
    out_.PutFixed(entry.index);
    out_.PutFixed(is_inline(entry) ? uint64_t{offset} : entry.offset);
    out_.PutFixed(uint64_t{entry.size});
    if (is_inline(entry)) offset += entry.size;
  }
  for (const TableEntry& buffer : buffers_) {
    if (!is_inline(buffer)) continue;
    const size_t padding = aligned(out_.size()) - out_.size();
    for (size_t i = 0; i < padding; ++i) out_.Put(0);
    if (buffer.size > 0) out_.PutBytes(buffer.bytes, buffer.size);
  }
  *clone = std::move(out_);
  return true;
}

}  // namespace cloister::sandbox
