// What the types of this directory are made with: heap types, one for each interpreter.

#ifndef CLOISTER_SANDBOX_GUEST_SHARED_HEAP_TYPE_H_
#define CLOISTER_SANDBOX_GUEST_SHARED_HEAP_TYPE_H_

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

template <typename Function>
PyCFunction AsMethod(Function function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(function));
}

template <typename Function>
void* AsSlot(Function function) {
  return reinterpret_cast<void*>(function);
}

// tp_traverse of objects that hold nothing but their type: so that it goes with its last object
// when an interpreter ends.
inline int TraverseType(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  return 0;
}

// How an object of ours, with a C++ state in it, ends.
template <typename Object>
void DeallocateWithState(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  PyObject_ClearWeakRefs(self);
  using State = decltype(Object::state);
  reinterpret_cast<Object*>(self)->state.~State();
  type->tp_free(self);
  Py_DECREF(type);
}

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_SHARED_HEAP_TYPE_H_
