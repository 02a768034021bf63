// Fills the holes of the zygote's heap, so that what clones allocate lies side by side.
//
// Allocators prefer memory that was used before: a clone's few objects would go into holes all over the
// heap, and the first write to each page there copies it. After this they go to the heap's end, or
// into pages of their own: `print(1)` touches half as many.
//
// Thread-safety: the process has one thread; a thread state is attached.

#ifndef CLOISTER_SANDBOX_GUEST_HEAP_HOLES_H_
#define CLOISTER_SANDBOX_GUEST_HEAP_HOLES_H_

namespace cloister::sandbox {

// What fills the holes, at most what the heap had free, is never freed. In the zygote, once it is warm.
void FillHeapHoles();

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_HEAP_HOLES_H_
