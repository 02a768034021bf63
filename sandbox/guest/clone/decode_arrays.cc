// Arrays.

#include <string_view>
#include <utility>

#include "sandbox/guest/clone/decoder.h"
#include "sandbox/guest/notebook_source.h"
#include "sandbox/guest/python_source.h"

namespace cloister::sandbox {

bool CloneDecoder::TableEntry(CloneBuffer* buffer) {
  uint64_t index;
  if (at_ == end_ || static_cast<CloneTag>(*at_) != CloneTag::kBuffer) {
    return Damaged("no buffer") != nullptr;
  }
  ++values_;
  ++at_;
  if (!Varint(&index)) return false;
  if (index != next_buffer_ || index >= buffers_.size()) {
    return Damaged("a buffer out of turn") != nullptr;
  }
  *buffer = buffers_[next_buffer_++];
  return true;
}

bool CloneDecoder::Buffer(std::string_view* bytes) {
  CloneBuffer buffer;
  if (!TableEntry(&buffer)) return false;
  if (buffer.source != CloneBufferSource::kInline) {
    return Damaged("a buffer that is not in the clone") != nullptr;
  }
  *bytes = clone_.substr(buffer.offset, buffer.size);
  return true;
}

PyRef CloneDecoder::Shape(uint64_t count) {
  if (count > limits_.dimensions) return PyRef::Steal(Damaged("too many dimensions"));
  PyRef shape = PyRef::Steal(PyTuple_New(static_cast<Py_ssize_t>(count)));
  if (!shape) return PyRef();
  for (uint64_t i = 0; i < count; ++i) {
    PyRef length = IntObject();
    if (!length) return PyRef();
    PyTuple_SET_ITEM(shape.get(), static_cast<Py_ssize_t>(i), length.release());
  }
  return shape;
}

PyRef CloneDecoder::Array(uint64_t count) {
  if (!HasFields(count, 3)) return PyRef();
  const PyRef code = Text();
  int item_size = 0;
  std::string_view bytes;
  if (!code || !Int(&item_size) || !Buffer(&bytes)) return PyRef();
  PyTypeObject* type = types_.Get(CloneKind::kArray);
  PyRef array = PyRef::Steal(
      type == nullptr ? nullptr
                      : PyObject_CallOneArg(reinterpret_cast<PyObject*>(type), code.get()));
  if (!array) return PyRef();
  const PyRef own_size = PyRef::Steal(PyObject_GetAttrString(array.get(), "itemsize"));
  if (!own_size) return PyRef();
  if (PyLong_AsLong(own_size.get()) != item_size) {
    return PyRef::Steal(Damaged("items of another size"));
  }
  const PyRef content =
      PyRef::Steal(PyBytes_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
  const PyRef done = PyRef::Steal(
      content ? PyObject_CallMethod(array.get(), "frombytes", "O", content.get()) : nullptr);
  return done ? std::move(array) : PyRef();
}

PyRef CloneDecoder::MemoryView(uint64_t count) {
  if (count < 4) return PyRef::Steal(Damaged("wrong number of fields"));
  const PyRef format = Text();
  int item_size = 0;
  bool is_read_only = false;
  std::string_view bytes;
  if (!format || !Int(&item_size) || !Bool(&is_read_only) || !Buffer(&bytes)) return PyRef();
  PyRef shape = Shape(count - 4);
  if (!shape) return PyRef();
  const auto size = static_cast<Py_ssize_t>(bytes.size());
  const PyRef content =
      PyRef::Steal(is_read_only ? PyBytes_FromStringAndSize(bytes.data(), size)
                                : PyByteArray_FromStringAndSize(bytes.data(), size));
  const PyRef plain = PyRef::Steal(content ? PyMemoryView_FromObject(content.get()) : nullptr);
  if (!plain) return PyRef();
  // cast() takes no dimension of 0, but makes one of the length that there is.
  PyRef view = PyRef::Steal(
      count == 5 ? PyObject_CallMethod(plain.get(), "cast", "O", format.get())
                 : PyObject_CallMethod(plain.get(), "cast", "OO", format.get(), shape.get()));
  if (!view) return PyRef();
  const Py_buffer* buffer = PyMemoryView_GET_BUFFER(view.get());
  if (buffer->itemsize != item_size ||
      (count == 5 && PyLong_AsSsize_t(PyTuple_GET_ITEM(shape.get(), 0)) != buffer->shape[0])) {
    return PyErr_Occurred() == nullptr ? PyRef::Steal(Damaged("items of another size")) : PyRef();
  }
  return view;
}

PyRef CloneDecoder::NumpyArray(uint64_t count) {
  if (count < 3) return PyRef::Steal(Damaged("wrong number of fields"));
  const PyRef type = Field();
  bool is_fortran = false;
  std::string_view bytes;
  if (!type || !Bool(&is_fortran) || !Buffer(&bytes)) return PyRef();
  const PyRef shape = Shape(count - 3);
  const PyRef content = PyRef::Steal(
      shape ? PyByteArray_FromStringAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size()))
            : nullptr);
  const PyRef names = content ? LoadNotebookSource("clone") : PyRef();
  const PyRef make = GetFunction(names, "make_array");
  return PyRef::Steal(make ? PyObject_CallFunction(make.get(), "OOOO", type.get(),
                                                   is_fortran ? Py_True : Py_False, content.get(),
                                                   shape.get())
                           : nullptr);
}

}  // namespace cloister::sandbox
