// Memory for CPython's object allocator: one aligned region, so that huge pages can back what the zygote
// has filled of it.
//
// A fork copies the page tables of all a zygote has written, entry by entry, and a clone's end takes them
// apart: some 60 ns each way for each of about 3,000 pages. A huge page is one entry, of which a clone
// splits those it writes to.
//
// Thread-safety: any thread; a lock of its own. A fork must come from the only thread.

#ifndef CLOISTER_SANDBOX_GUEST_ARENA_MEMORY_H_
#define CLOISTER_SANDBOX_GUEST_ARENA_MEMORY_H_

namespace cloister::sandbox {

// Makes CPython take its arenas from the region. Before the interpreter starts. Where the region cannot
// be reserved, and once it is full, arenas come from the kernel one by one, as ever.
void InstallArenaAllocator();

// Backs what is in use with huge pages. In the zygote, when it is warm.
void UseHugePagesForArenas();

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_ARENA_MEMORY_H_
