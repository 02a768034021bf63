// The pages that every clone of a process faults in before its own work begins, learned once from a
// trial clone, so that later clones take them in a few calls instead of hundreds of page faults.
//
// A clone shares all memory with its zygote until it writes: then the kernel copies the page, about
// a microsecond each with the exception. Which pages a program writes first (reference counts, free
// lists, the allocator's heads) is the same in all clones of one zygote, because their memory is
// the same. The forecast is a hint: a page too many costs its copy, a page too few its fault.
//
// No CPython here. Thread-safety: none.

#ifndef CLOISTER_SANDBOX_GUEST_HOT_PAGES_H_
#define CLOISTER_SANDBOX_GUEST_HOT_PAGES_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"

namespace cloister::sandbox {

// Whole pages that lie side by side.
struct PageRange {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  bool written = false;  // else only read
};

// What the calling process, a clone, has copied and mapped since it began. Needs /proc.
absl::StatusOr<std::vector<PageRange>> FindTouchedPages();

// Copies and maps the ranges, as far as they are still there. Does nothing on a kernel before 5.14.
void PopulatePages(const std::vector<PageRange>& ranges);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_HOT_PAGES_H_
