// SharedBuffer.atomic_*, as CPython calls methods with keywords. Words are unsigned, of 1, 2, 4 or
// 8 bytes, aligned, and wrap around. Negative numbers are taken as their two's complement.
//
// Thread-safety: the thread that holds the GIL; AtomicWait lets go of it.

#ifndef CLOISTER_SANDBOX_GUEST_SHARED_ATOMIC_METHODS_H_
#define CLOISTER_SANDBOX_GUEST_SHARED_ATOMIC_METHODS_H_

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

PyObject* AtomicLoad(PyObject* self, PyObject* arguments, PyObject* names);
PyObject* AtomicStore(PyObject* self, PyObject* arguments, PyObject* names);
PyObject* AtomicExchange(PyObject* self, PyObject* arguments, PyObject* names);
PyObject* AtomicCompareExchange(PyObject* self, PyObject* arguments, PyObject* names);
PyObject* AtomicAdd(PyObject* self, PyObject* arguments, PyObject* names);
PyObject* AtomicSub(PyObject* self, PyObject* arguments, PyObject* names);
PyObject* AtomicAnd(PyObject* self, PyObject* arguments, PyObject* names);
PyObject* AtomicOr(PyObject* self, PyObject* arguments, PyObject* names);
PyObject* AtomicXor(PyObject* self, PyObject* arguments, PyObject* names);
PyObject* AtomicWait(PyObject* self, PyObject* arguments, PyObject* names);
PyObject* AtomicNotify(PyObject* self, PyObject* arguments, PyObject* names);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_SHARED_ATOMIC_METHODS_H_
