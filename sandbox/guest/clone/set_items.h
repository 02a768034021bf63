// The items of a set, one by one, without an iterator.

#ifndef CLOISTER_SANDBOX_GUEST_CLONE_SET_ITEMS_H_
#define CLOISTER_SANDBOX_GUEST_CLONE_SET_ITEMS_H_

#include "sandbox/guest/python_object.h"

// CPython's own, in no public header; what its pickle and marshal use.
extern "C" int _PySet_NextEntryRef(PyObject* set, Py_ssize_t* position, PyObject** item,
                                   Py_hash_t* hash);

namespace cloister::sandbox {

// Empty at the end. `position` begins as 0; the set may change in between.
inline PyRef NextSetItem(PyObject* set, Py_ssize_t* position) {
  PyObject* item = nullptr;
  Py_hash_t hash;
  return _PySet_NextEntryRef(set, position, &item, &hash) == 1 ? PyRef::Steal(item) : PyRef();
}

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_CLONE_SET_ITEMS_H_
