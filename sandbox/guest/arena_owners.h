// Whether a small object belongs to the interpreter that touches it, for each PyRef of a debug
// build (provenance.h is for what needs that always). An address of one interpreter's object in
// another's hands corrupts memory long before anything is seen of it.
//
// CPython's allocator takes small objects (at most 512 bytes) from arenas, and each interpreter
// with an allocator of its own has arenas of its own; so the address tells whose an object is. Of
// larger objects and static ones nothing is known, and they pass.
//
// Thread-safety: any thread; a lock of its own.

#ifndef CLOISTER_SANDBOX_GUEST_ARENA_OWNERS_H_
#define CLOISTER_SANDBOX_GUEST_ARENA_OWNERS_H_

#include <cstddef>

namespace cloister::sandbox {

// On in debug builds. To be changed before the interpreter starts, if at all.
extern bool checks_owners;

// Ends the process, with both interpreters' ids on stderr, where the calling thread is in another
// interpreter than the object's.
void CheckOwner(const void* object);

// The interpreter of the calling thread has got an arena, or given one back.
void NoteArena(void* arena, size_t size);
void ForgetArena(void* arena);

// The calling thread's interpreter has main's allocator.
void NoteMainAllocator();

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_ARENA_OWNERS_H_
