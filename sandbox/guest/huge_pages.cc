#include "sandbox/guest/huge_pages.h"

#include <sys/mman.h>

#include <cstring>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

namespace cloister::sandbox {

char* MapAligned(size_t size, int protection) {
  void* mapped = mmap(nullptr, size + kHugePageBytes, protection,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  char* const base = static_cast<char*>(mapped);
  const uintptr_t skip = -reinterpret_cast<uintptr_t>(base) % kHugePageBytes;
  if (skip > 0) munmap(base, skip);
  munmap(base + skip + size, kHugePageBytes - skip);
  return base + skip;
}

void MoveIntoHugePages(uintptr_t begin, uintptr_t end, int protection) {
  const uintptr_t first = begin / kHugePageBytes * kHugePageBytes;
  const uintptr_t last = (end + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  char* const whole = MapAligned(last - first, PROT_READ | PROT_WRITE);
  if (whole == nullptr) return;
  char* const memory = whole + (begin - first);
  void* const original = reinterpret_cast<void*>(begin);
  const size_t size = end - begin;
  std::memcpy(memory, original, size);
  UseHugePages(whole, last - first);
  if (mprotect(memory, size, protection) == 0) {
    // In one step: it may be this code itself that is moved.
    (void)mremap(memory, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, original);
  }
  // Where it was moved, what lay round it in the first and the last huge page.
  munmap(whole, last - first);
}

void UseHugePages(char* memory, size_t size) {
  const auto address = reinterpret_cast<uintptr_t>(memory);
  const uintptr_t begin = (address + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  const uintptr_t end = (address + size) / kHugePageBytes * kHugePageBytes;
  // One by one: a failure leaves the others a chance.
  for (uintptr_t page = begin; page < end; page += kHugePageBytes) {
    (void)madvise(memory + (page - address), kHugePageBytes, MADV_COLLAPSE);
  }
}

}  // namespace cloister::sandbox
