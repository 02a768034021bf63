#include "sandbox/guest/arena_memory.h"

#include <sys/mman.h>

#include <bitset>
#include <cstdint>
#include <mutex>

#include "sandbox/guest/arena_owners.h"
#include "sandbox/guest/huge_pages.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kArenaBytes = size_t{1} << 20;  // of pymalloc, since CPython 3.10
constexpr size_t kArenaCount = 64;
constexpr size_t kRegionBytes = kArenaBytes * kArenaCount;
constexpr size_t kArenasPerHugePage = kHugePageBytes / kArenaBytes;

void* MapFromKernel(size_t size) {
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

class Region {
 public:
  void Reserve() { base_ = MapAligned(kRegionBytes, PROT_NONE); }

  // Null where it is full.
  void* Allocate() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (base_ == nullptr) return nullptr;
    for (size_t i = 0; i < kArenaCount; ++i) {
      if (used_[i]) continue;
      if (!MakeUsable(i)) return nullptr;
      used_[i] = true;
      return base_ + i * kArenaBytes;
    }
    return nullptr;
  }

  // False where it is none of the region's.
  bool Free(void* arena) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto offset = static_cast<size_t>(static_cast<char*>(arena) - base_);
    if (base_ == nullptr || offset >= kRegionBytes) return false;
    madvise(arena, kArenaBytes, MADV_DONTNEED);
    used_[offset / kArenaBytes] = false;
    return true;
  }

  void UseHugePages() {
    if (base_ != nullptr) cloister::sandbox::UseHugePages(base_, usable_ * kArenaBytes);
  }

 private:
  // Always a whole huge page at once. Memory that nobody may write does not count as data.
  bool MakeUsable(size_t arena) {
    if (arena < usable_) return true;
    if (mprotect(base_ + usable_ * kArenaBytes, kHugePageBytes, PROT_READ | PROT_WRITE) != 0) {
      return false;
    }
    usable_ += kArenasPerHugePage;
    return true;
  }

  std::mutex mutex_;
  char* base_ = nullptr;
  size_t usable_ = 0;  // arenas from the start
  std::bitset<kArenaCount> used_;
};

Region region;

void* AllocateArena(void*, size_t size) {
  void* arena = size == kArenaBytes ? region.Allocate() : nullptr;
  if (arena == nullptr) arena = MapFromKernel(size);
  NoteArena(arena, size);
  return arena;
}

void FreeArena(void*, void* arena, size_t size) {
  if (arena == nullptr) return;
  // Before another thread can get the same.
  ForgetArena(arena);
  if (!region.Free(arena)) munmap(arena, size);
}

}  // namespace

void InstallArenaAllocator() {
  region.Reserve();
  PyObjectArenaAllocator allocator = {.ctx = nullptr, .alloc = AllocateArena, .free = FreeArena};
  PyObject_SetArenaAllocator(&allocator);
}

void UseHugePagesForArenas() { region.UseHugePages(); }

}  // namespace cloister::sandbox
