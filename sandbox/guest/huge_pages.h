// Huge pages under memory that is there already. All of it is a matter of speed only: where the kernel has
// none to give, or none at all, nothing changes.
//
// No CPython here. Thread-safety: any thread.

#ifndef CLOISTER_SANDBOX_GUEST_HUGE_PAGES_H_
#define CLOISTER_SANDBOX_GUEST_HUGE_PAGES_H_

#include <cstddef>
#include <cstdint>

namespace cloister::sandbox {

inline constexpr uintptr_t kHugePageBytes = uintptr_t{2} << 20;

// New private memory of `size` bytes that begins with a huge page. Null where there is none.
char* MapAligned(size_t size, int protection);

// Replaces the pages of whole huge pages within [memory, memory + size), which must be one mapping, by
// huge pages with the same content.
void UseHugePages(char* memory, size_t size);

// Replaces private memory, of one or several mappings side by side, by one mapping with `protection` and the
// same content at the same addresses. Where it does not fill a huge page, its pages still are parts of
// one, which the kernel copies and takes apart in one go. Nothing else of the process may run meanwhile.
void MoveIntoHugePages(uintptr_t begin, uintptr_t end, int protection);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_HUGE_PAGES_H_
