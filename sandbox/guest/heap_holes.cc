#include "sandbox/guest/heap_holes.h"

#include <cstdint>
#include <cstdlib>
#include <vector>

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {
namespace {

// pymalloc (Objects/obmalloc.c, since 3.10): blocks of up to 512 bytes in steps of 16, carved out of
// pools of 16 KiB that begin with a header of 48.
constexpr size_t kPoolBytes = size_t{16} << 10;
constexpr size_t kPoolHeaderBytes = 48;
constexpr size_t kBlockStep = 16;
constexpr size_t kMaxBlockBytes = 512;
// Whatever an allocator of another make does, this ends: no class has that many holes.
constexpr size_t kMaxBlocks = 100'000;

// Whether these two, allocated one after the other, are the first of a new pool.
bool BeginPool(void* first, void* second, size_t size) {
  const auto address = reinterpret_cast<uintptr_t>(first);
  return address % kPoolBytes == kPoolHeaderBytes && static_cast<char*>(first) + size == second;
}

// Takes every free block of one size; the pool after that is given back whole, to begin afresh in clones.
void FillPools(size_t size) {
  void* previous = PyObject_Malloc(size);
  for (size_t i = 0; i < kMaxBlocks && previous != nullptr; ++i) {
    void* block = PyObject_Malloc(size);
    if (block != nullptr && BeginPool(previous, block, size)) {
      PyObject_Free(block);
      PyObject_Free(previous);
      return;
    }
    previous = block;
  }
}

// malloc's free chunks below the heap's end, largest first so that what is split is used up as well.
void FillChunks() {
  constexpr size_t kLargest = size_t{64} << 10;
  constexpr size_t kSmallest = 16;
  void* const end = malloc(kLargest);  // of the untouched rest, or a hole as good as that
  if (end == nullptr) return;
  size_t left = kMaxBlocks;
  for (size_t size = kLargest; size >= kSmallest; size -= size > 1024 ? 512 : 16) {
    void* chunk = malloc(size);
    while (chunk != nullptr && chunk < end && left-- > 0) chunk = malloc(size);
    free(chunk);
    if (left == 0) break;
  }
  free(end);
}

}  // namespace

void FillHeapHoles() {
  for (size_t size = kBlockStep; size <= kMaxBlockBytes; size += kBlockStep) FillPools(size);
  FillChunks();
}

}  // namespace cloister::sandbox
