// Clones of Python objects (proto/CLONE.md): values that leave an interpreter as bytes, and come to
// be objects of another.
//
// No code of users runs while a clone is made or read, but what they registered for their own types
// by `cloister.register_clone`: classes are never called, and properties, `__getattr__`, `__eq__`,
// `__hash__` and `__reduce__` never asked. Classes are found in the dictionaries of modules that
// are imported already.
//
// Thread-safety: the thread that holds the GIL only; state is by interpreter. Other threads may run
// where code of the standard library or of users' hooks is called: what they change in the value
// meanwhile is an error, or seen.
// Errors: false or an empty PyRef with a Python exception set, which is
// `cloister.DataCloneError` unless memory ran out, a hook raised or the program was interrupted.
// Nothing is half-done then.

#ifndef CLOISTER_SANDBOX_GUEST_CLONE_CLONE_H_
#define CLOISTER_SANDBOX_GUEST_CLONE_CLONE_H_

#include <string>
#include <string_view>

#include "sandbox/clone/format.h"
#include "sandbox/guest/clone/clone_bytes.h"
#include "sandbox/guest/clone/clone_handles.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// Makes a clone with inline buffers only. Any object may be given. Where it fails, `clone` is as it
// was.
bool EncodeClone(PyObject* value, const CloneLimits& limits, CloneBytes* clone);
bool EncodeClone(PyObject* value, const CloneLimits& limits, std::string* clone);

// For a receiver in the same sandbox: also with handles, whose descriptors are added to `handles`.
// Null: as above.
bool EncodeClone(PyObject* value, const CloneLimits& limits, CloneHandles* handles,
                 CloneBytes* clone);

// The value of a clone, of which nothing is trusted. Where there are `handles`, each of their
// descriptors becomes part of the value, or it is an error.
PyRef DecodeClone(std::string_view clone, const CloneLimits& limits,
                  CloneHandles* handles = nullptr);

// The class of this interpreter, borrowed; null with a Python exception set where it cannot be
// made.
PyObject* DataCloneError();

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_CLONE_CLONE_H_
