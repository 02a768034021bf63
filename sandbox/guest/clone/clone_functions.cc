#include "sandbox/guest/clone/clone_functions.h"

#include <fcntl.h>

#include <utility>
#include <vector>

#include "sandbox/guest/clone/clone.h"
#include "sandbox/guest/clone/clone_types.h"

namespace cloister::sandbox {
namespace {

bool Duplicate(const CloneHandles& handles, std::vector<UniqueFd>* copies) {
  for (const int descriptor : handles.descriptors()) {
    copies->emplace_back(fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
    if (!copies->back()) return PyErr_SetFromErrno(PyExc_OSError) != nullptr;
  }
  return true;
}

// Of a list of ints; what cannot be a descriptor is none.
bool TakeOver(PyObject* list, std::vector<UniqueFd>* descriptors) {
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); ++i) {
    const long number = PyLong_AsLong(PyList_GET_ITEM(list, i));
    if (number == -1 && PyErr_Occurred() != nullptr) return false;
    descriptors->emplace_back(static_cast<int>(number));
  }
  return true;
}

}  // namespace

PyObject* CloneValue(PyObject*, PyObject* value) {
  CloneBytes clone;
  CloneHandles handles;
  std::vector<UniqueFd> copies;
  if (!EncodeClone(value, {}, &handles, &clone) || !Duplicate(handles, &copies)) return nullptr;
  CloneHandles received(std::move(copies));
  return DecodeClone(clone.view(), {}, &received).release();
}

PyObject* EncodeHandles(PyObject*, PyObject* arguments) {
  PyObject* value;
  PyObject* transfer = nullptr;
  if (!PyArg_ParseTuple(arguments, "O|O:encode_handles", &value, &transfer)) return nullptr;
  CloneBytes clone;
  CloneHandles handles;
  std::vector<UniqueFd> copies;
  if ((transfer != nullptr && !handles.HandOver(transfer)) ||
      !EncodeClone(value, {}, &handles, &clone) || !Duplicate(handles, &copies)) {
    return nullptr;
  }
  PyRef numbers = PyRef::Steal(PyList_New(static_cast<Py_ssize_t>(copies.size())));
  for (size_t i = 0; numbers && i < copies.size(); ++i) {
    PyRef number = PyRef::Steal(PyLong_FromLong(copies[i].get()));
    if (!number) return nullptr;
    PyList_SET_ITEM(numbers.get(), static_cast<Py_ssize_t>(i), number.release());
  }
  PyRef bytes = PyRef::Steal(
      PyBytes_FromStringAndSize(clone.view().data(), static_cast<Py_ssize_t>(clone.size())));
  PyRef both =
      PyRef::Steal(numbers && bytes ? PyTuple_Pack(2, bytes.get(), numbers.get()) : nullptr);
  if (!both) return nullptr;
  handles.Sent();
  for (UniqueFd& copy : copies) (void)copy.release();
  return both.release();
}

PyObject* DecodeHandles(PyObject*, PyObject* arguments) {
  const char* bytes;
  Py_ssize_t size;
  PyObject* numbers;
  std::vector<UniqueFd> descriptors;
  if (!PyArg_ParseTuple(arguments, "y#O!:decode_handles", &bytes, &size, &PyList_Type, &numbers) ||
      !TakeOver(numbers, &descriptors)) {
    return nullptr;
  }
  CloneHandles received(std::move(descriptors));
  return DecodeClone({bytes, static_cast<size_t>(size)}, {}, &received).release();
}

PyObject* EncodeCloneValue(PyObject*, PyObject* value) {
  CloneBytes clone;
  if (!EncodeClone(value, {}, &clone)) return nullptr;
  return PyBytes_FromStringAndSize(clone.view().data(), static_cast<Py_ssize_t>(clone.size()));
}

PyObject* DecodeCloneValue(PyObject*, PyObject* clone) {
  if (!PyBytes_CheckExact(clone)) {
    PyErr_SetString(PyExc_TypeError, "a clone is bytes");
    return nullptr;
  }
  const PyRef hold = PyRef::Borrow(clone);
  const auto size = static_cast<size_t>(PyBytes_GET_SIZE(clone));
  return DecodeClone({PyBytes_AS_STRING(clone), size}, {}).release();
}

PyObject* RegisterClone(PyObject*, PyObject* arguments) {
  PyObject* type;
  PyObject* to;
  PyObject* from;
  if (!PyArg_ParseTuple(arguments, "O!OO:register_clone", &PyType_Type, &type, &to, &from)) {
    return nullptr;
  }
  auto* registered = reinterpret_cast<PyTypeObject*>(type);
  if ((registered->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0 ||
      CloneTypes::Here().Find(registered) != nullptr ||
      FindCloneHandleType(registered) != nullptr) {
    PyErr_Format(PyExc_TypeError, "%s is cloned in its own way", registered->tp_name);
    return nullptr;
  }
  if (!PyCallable_Check(to) || !PyCallable_Check(from)) {
    PyErr_SetString(PyExc_TypeError, "register_clone() takes two functions");
    return nullptr;
  }
  return CloneTypes::Here().Register(registered, to, from) ? Py_NewRef(Py_None) : nullptr;
}

}  // namespace cloister::sandbox
