// Lays the zygote's memory out so that forks are cheap.
//
// A fork does not copy the page tables of unwritten file mappings: each clone maps the code of libpython
// page by page again, and the kernel takes it apart again at its end, some 1,700 pages for `print(1)`.
// Page tables of anonymous memory are copied, at some 50 ns a page each way; and where the pages are
// parts of huge pages, many at once.
//
// No CPython here. Thread-safety: the process has one thread.

#ifndef CLOISTER_SANDBOX_GUEST_MEMORY_LAYOUT_H_
#define CLOISTER_SANDBOX_GUEST_MEMORY_LAYOUT_H_

#include <vector>

#include "sandbox/guest/hot_pages.h"

namespace cloister::sandbox {

// Moves the heap, the data of libraries, and the code and constants of files of which `hot` holds a good
// part into huge pages of the zygote's own. Addresses stay. Constants that lie beside code become
// executable with it, so that both share huge pages. Up to 4 MiB of memory for each file moved stays
// unused until the kernel needs it. What cannot be moved stays where it is: a matter of speed only.
void LayOutMemory(const std::vector<PageRange>& hot);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MEMORY_LAYOUT_H_
