// Exceptions. They are made by CPython's own code for the builtin class at their root, never by
// that of a class that a program wrote; what cannot be made so here comes as a RemoteError.

#include <string>
#include <utility>

#include "sandbox/guest/clone/class_slots.h"
#include "sandbox/guest/clone/clone_path.h"
#include "sandbox/guest/clone/decoder.h"
#include "sandbox/guest/clone/exception_parts.h"

namespace cloister::sandbox {
namespace {

// Empty with a Python exception set.
PyRef MakeByClass(PyTypeObject* type, PyTypeObject* native, PyObject* arguments) {
  PyRef made = PyRef::Steal(native->tp_new(type, arguments, nullptr));
  if (!made) return PyRef();
  if (!PyExceptionInstance_Check(made.get())) {
    PyErr_SetString(PyExc_TypeError, "not an exception");
    return PyRef();
  }
  if (native->tp_init != nullptr && native->tp_init(made.get(), arguments, nullptr) != 0) {
    return PyRef();
  }
  return made;
}

bool SetName(PyObject* exception, const char* name, PyObject* value) {
  const PyRef names = PyRef::Steal(PyObject_GenericGetDict(exception, nullptr));
  return names && PyDict_SetItemString(names.get(), name, value) == 0;
}

PyRef MakeRemote(PyTypeObject* remote, PyObject* module, PyObject* name, PyObject* arguments) {
  auto* native = reinterpret_cast<PyTypeObject*>(PyExc_Exception);
  PyRef made = MakeByClass(remote, native, arguments);
  if (!made || !SetName(made.get(), "module", module) || !SetName(made.get(), "type_name", name)) {
    return PyRef();
  }
  return made;
}

PyRef FromText(const std::string& text) {
  return PyRef::Steal(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
}

// Of an exception whose own class does not take its arguments.
PyRef MakeRemoteOf(PyTypeObject* remote, PyTypeObject* type, PyObject* arguments) {
  const PyRef module = FromText(TypeModule(type));
  const PyRef name = FromText(TypeQualifiedName(type));
  const Py_ssize_t count = PyTuple_GET_SIZE(arguments);
  const PyRef texts = PyRef::Steal(PyTuple_New(count));
  if (!module || !name || !texts) return PyRef();
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyRef text = FromText(Describe(PyTuple_GET_ITEM(arguments, i)));
    if (!text) return PyRef();
    PyTuple_SET_ITEM(texts.get(), i, text.release());
  }
  return MakeRemote(remote, module.get(), name.get(), texts.get());
}

bool SetAttributes(PyObject* exception, PyTypeObject* native, PyObject* attributes) {
  Py_ssize_t position = 0;
  PyObject* name;
  PyObject* value;
  while (PyDict_Next(attributes, &position, &name, &value)) {
    if (!PyUnicode_CheckExact(name)) {
      PyErr_SetString(PyExc_TypeError, "the name of an attribute is a str");
      return false;
    }
    const char* text = PyUnicode_AsUTF8(name);
    if (text == nullptr) return false;
    if (PyObject** place = FindExceptionMember(exception, native, text)) {
      Py_XSETREF(*place, Py_NewRef(value));
    } else if (!SetName(exception, text, value)) {
      return false;
    }
  }
  return true;
}

bool IsTextTuple(PyObject* object, Py_ssize_t count) {
  if (!PyTuple_CheckExact(object) || (count >= 0 && PyTuple_GET_SIZE(object) != count))
    return false;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(object); ++i) {
    if (!PyUnicode_CheckExact(PyTuple_GET_ITEM(object, i))) return false;
  }
  return true;
}

}  // namespace

PyRef CloneDecoder::Exception(uint64_t count, size_t number) {
  if (!HasFields(count, 8)) return PyRef();
  const PyRef type_object = Class();
  if (!type_object) return PyRef();
  auto* type = reinterpret_cast<PyTypeObject*>(type_object.get());
  PyTypeObject* remote = types_.RemoteError();
  PyTypeObject* native = remote != nullptr ? types_.NativeBase(type) : nullptr;
  if (native == nullptr) return PyRef();
  if (!PyExceptionClass_Check(type_object.get()) || (native->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0) {
    Fail(TypeName(type) + " is no class of exceptions here");
    return PyRef();
  }
  const PyRef arguments = Field();
  if (!arguments) return PyRef();
  if (!PyTuple_CheckExact(arguments.get())) return PyRef::Steal(Damaged("no arguments"));
  PyRef exception = MakeByClass(type, native, arguments.get());
  if (!exception) {
    if (PyErr_ExceptionMatches(PyExc_MemoryError)) return PyRef();
    PyErr_Clear();
    exception = MakeRemoteOf(remote, type, arguments.get());
    native = reinterpret_cast<PyTypeObject*>(PyExc_Exception);
    if (!exception) return PyRef();
  }
  Exists(number, exception.get());
  return ExceptionEnd(exception.get(), native) ? std::move(exception) : PyRef();
}

PyRef CloneDecoder::RemoteError(uint64_t count, size_t number) {
  if (!HasFields(count, 8)) return PyRef();
  const PyRef name = Field();
  const PyRef arguments = name ? Field() : PyRef();
  if (!arguments) return PyRef();
  if (!IsTextTuple(name.get(), 2) || !IsTextTuple(arguments.get(), -1)) {
    return PyRef::Steal(Damaged("no names or arguments of an exception"));
  }
  PyTypeObject* remote = types_.RemoteError();
  PyRef exception = remote != nullptr ? MakeRemote(remote, PyTuple_GET_ITEM(name.get(), 0),
                                                   PyTuple_GET_ITEM(name.get(), 1), arguments.get())
                                      : PyRef();
  if (!exception) return PyRef();
  Exists(number, exception.get());
  auto* native = reinterpret_cast<PyTypeObject*>(PyExc_Exception);
  return ExceptionEnd(exception.get(), native) ? std::move(exception) : PyRef();
}

bool CloneDecoder::ExceptionEnd(PyObject* exception, PyTypeObject* native) {
  const PyRef attributes = Field();
  const PyRef notes = attributes ? Field() : PyRef();
  if (!notes) return false;
  if (attributes.get() != Py_None) {
    if (!PyDict_CheckExact(attributes.get())) return Damaged("no attributes") != nullptr;
    if (!SetAttributes(exception, native, attributes.get())) return false;
  }
  if (notes.get() != Py_None) {
    if (!PyList_CheckExact(notes.get())) return Damaged("no notes") != nullptr;
    if (!SetName(exception, "__notes__", notes.get())) return false;
  }
  PyRef origins[2];
  for (PyRef& origin : origins) {
    origin = Field();
    if (!origin) return false;
    if (origin.get() == Py_None) {
      origin.reset();
    } else if (!PyExceptionInstance_Check(origin.get())) {
      return Damaged("no cause or context") != nullptr;
    }
  }
  bool suppresses = false;
  if (!Bool(&suppresses)) return false;
  PyException_SetCause(exception, origins[0].release());
  PyException_SetContext(exception, origins[1].release());
  reinterpret_cast<PyBaseExceptionObject*>(exception)->suppress_context = suppresses ? 1 : 0;
  const PyRef frames = Frames();
  if (!frames) return false;
  return PyList_GET_SIZE(frames.get()) == 0 ||
         SetName(exception, kRemoteFramesAttribute, frames.get());
}

PyRef CloneDecoder::Frames() {
  PyRef frames = Field();
  if (!frames) return PyRef();
  bool is_right = PyList_CheckExact(frames.get());
  for (Py_ssize_t i = 0; is_right && i < PyList_GET_SIZE(frames.get()); ++i) {
    PyObject* frame = PyList_GET_ITEM(frames.get(), i);
    is_right = PyTuple_CheckExact(frame) && PyTuple_GET_SIZE(frame) == 3 &&
               PyUnicode_CheckExact(PyTuple_GET_ITEM(frame, 0)) &&
               PyLong_CheckExact(PyTuple_GET_ITEM(frame, 1)) &&
               PyUnicode_CheckExact(PyTuple_GET_ITEM(frame, 2));
  }
  return is_right ? std::move(frames) : PyRef::Steal(Damaged("no frames of an exception"));
}

}  // namespace cloister::sandbox
