// What Python code of ours calls of cloning.
//
// Thread-safety: the thread that holds the GIL only.

#ifndef CLOISTER_SANDBOX_GUEST_CLONE_CLONE_FUNCTIONS_H_
#define CLOISTER_SANDBOX_GUEST_CLONE_CLONE_FUNCTIONS_H_

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// clone_value(value): a copy of it by way of a clone.
PyObject* CloneValue(PyObject*, PyObject* value);

// encode_clone(value) -> bytes, decode_clone(bytes) -> value
PyObject* EncodeCloneValue(PyObject*, PyObject* value);
PyObject* DecodeCloneValue(PyObject*, PyObject* clone);

// encode_handles(value, transfer=()) -> (bytes, descriptors), which are the caller's;
// decode_handles(bytes, descriptors) -> value, which takes them over, also where it fails. A
// message without its transport.
PyObject* EncodeHandles(PyObject*, PyObject* arguments);
PyObject* DecodeHandles(PyObject*, PyObject* arguments);

// register_clone(type, to, from)
PyObject* RegisterClone(PyObject*, PyObject* arguments);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_CLONE_CLONE_FUNCTIONS_H_
