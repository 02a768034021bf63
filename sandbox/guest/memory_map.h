// The calling process's mappings, as /proc/self/maps lists them.
//
// No CPython here. Thread-safety: none.

#ifndef CLOISTER_SANDBOX_GUEST_MEMORY_MAP_H_
#define CLOISTER_SANDBOX_GUEST_MEMORY_MAP_H_

#include <cstdint>
#include <string>
#include <vector>

namespace cloister::sandbox {

inline constexpr uintptr_t kPageBytes = 4096;

// Addresses of whole pages.
struct Mapping {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  bool writable = false;
  bool executable = false;
  bool is_heap = false;  // that of brk(2)
  std::string file;      // empty for anonymous memory, the heap and the stack

  uintptr_t pages() const { return (end - begin) / kPageBytes; }
};

// Readable private mappings in order of address, without the kernel's own. Empty without /proc.
std::vector<Mapping> PrivateMappings();

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MEMORY_MAP_H_
