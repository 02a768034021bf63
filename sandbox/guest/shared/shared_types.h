// The classes for shared memory that `cloister` offers, and for what moves. Each interpreter has
// its own of each, made when it is first needed: by a program that asks for it, or by a message
// with an object of it.
//
// Thread-safety: the thread that holds the GIL.

#ifndef CLOISTER_SANDBOX_GUEST_SHARED_SHARED_TYPES_H_
#define CLOISTER_SANDBOX_GUEST_SHARED_SHARED_TYPES_H_

#include <cstdint>

#include "sandbox/guest/clone/clone_handles.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

enum class SharedClass : uint8_t { kBuffer, kLock, kCondition, kSemaphore, kMovable };
inline constexpr int kSharedClassCount = 5;

// As proto/CLONE.md calls it, which is its name in `cloister` as well.
const char* SharedClassName(SharedClass which);

// The calling interpreter's class, borrowed; null with a Python exception set.
PyTypeObject* GetSharedClass(SharedClass which);

// Whether `type` is that class; no exception.
bool IsSharedClass(PyTypeObject* type, SharedClass which);

// shared_class(name), for Python code of ours.
PyObject* SharedClassByName(PyObject*, PyObject* name);

// Lets their objects be in clones. Once, before CPython starts.
void AddSharedHandles();

// In the files of the types.
extern PyType_Spec shared_buffer_spec;
extern PyType_Spec shared_lock_spec;
extern PyType_Spec shared_condition_spec;
extern PyType_Spec shared_semaphore_spec;
extern PyType_Spec movable_spec;
extern const CloneHandleType shared_buffer_handles;
extern const CloneHandleType shared_lock_handles;
extern const CloneHandleType movable_handles;

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_SHARED_SHARED_TYPES_H_
