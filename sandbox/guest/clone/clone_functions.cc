#include "sandbox/guest/clone/clone_functions.h"

#include "sandbox/guest/clone/clone.h"
#include "sandbox/guest/clone/clone_types.h"

namespace cloister::sandbox {

PyObject* CloneValue(PyObject*, PyObject* value) {
  CloneBytes clone;
  return EncodeClone(value, {}, &clone) ? DecodeClone(clone.view(), {}).release() : nullptr;
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
      CloneTypes::Here().Find(registered) != nullptr) {
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
