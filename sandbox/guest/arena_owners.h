// Debug builds know which interpreter's allocator has made which arena, and end the process where
// an interpreter touches a small object of another one, with both named. Other builds know nothing.
//
// Objects of more than 512 bytes, and those made before the process had further interpreters, are
// nobody's here. Interpreters that share main's allocator count as main.
//
// Thread-safety: any thread. CheckOwner: with a GIL.

#ifndef CLOISTER_SANDBOX_GUEST_ARENA_OWNERS_H_
#define CLOISTER_SANDBOX_GUEST_ARENA_OWNERS_H_

#include <cstddef>

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

#ifndef NDEBUG
// An arena that the calling thread's interpreter has got, and one that is given back.
void NoteArena(void* arena, size_t size);
void ForgetArena(void* arena);

// While an interpreter is made by this thread, and once it is.
void BeginSharingMainArenas(bool shares);
void EndSharingMainArenas(PyThreadState* made);

void CheckOwner(PyObject* object);
#else
inline void NoteArena(void*, size_t) {}
inline void ForgetArena(void*) {}
inline void BeginSharingMainArenas(bool) {}
inline void EndSharingMainArenas(PyThreadState*) {}
inline void CheckOwner(PyObject*) {}
#endif

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_ARENA_OWNERS_H_
