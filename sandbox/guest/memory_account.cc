#include "sandbox/guest/memory_account.h"

#include <malloc.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {
namespace {

// Two arenas for a cell that starts at the limit, for so long as it is not far beyond.
constexpr int64_t kCellBytes = int64_t{2} << 20;
constexpr int64_t kMaxBeyondBytes = int64_t{8} << 20;
constexpr int64_t kReportBytes = int64_t{16} << 20;

thread_local MemoryAccount* current_account = nullptr;

// ---- the raw allocator --------------------------------------------------------------------------

PyMemAllocatorEx raw;  // the one below, which is malloc's

void* Counted(MemoryAccount* account, void* block) {
  if (account != nullptr && block != nullptr) account->Take(malloc_usable_size(block));
  return block;
}

void* RawMalloc(void*, size_t size) {
  MemoryAccount* account = current_account;
  if (account != nullptr && !account->MayTake(size)) return nullptr;
  return Counted(account, raw.malloc(raw.ctx, size));
}

void* RawCalloc(void*, size_t count, size_t size) {
  MemoryAccount* account = current_account;
  size_t all;
  if (account != nullptr && (__builtin_mul_overflow(count, size, &all) || !account->MayTake(all))) {
    return nullptr;
  }
  return Counted(account, raw.calloc(raw.ctx, count, size));
}

void* RawRealloc(void*, void* block, size_t size) {
  MemoryAccount* account = current_account;
  if (account == nullptr) return raw.realloc(raw.ctx, block, size);
  const size_t old = malloc_usable_size(block);
  if (size > old && !account->MayTake(size - old)) return nullptr;
  void* moved = raw.realloc(raw.ctx, block, size);
  if (moved == nullptr) return nullptr;
  account->GiveBack(old);
  return Counted(account, moved);
}

void RawFree(void*, void* block) {
  if (current_account != nullptr) current_account->GiveBack(malloc_usable_size(block));
  raw.free(raw.ctx, block);
}

// ---- arenas -------------------------------------------------------------------------------------

PyObjectArenaAllocator arenas;  // the one below: arena_memory.h

// Who pays for an arena, whoever frees it.
class ArenaOwners {
 public:
  void Set(void* arena, MemoryAccount* account) {
    const std::lock_guard<std::mutex> lock(mutex_);
    owners_[arena] = account;
  }
  MemoryAccount* Take(void* arena) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = owners_.find(arena);
    if (found == owners_.end()) return nullptr;
    MemoryAccount* account = found->second;
    owners_.erase(found);
    return account;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<void*, MemoryAccount*> owners_;
};
ArenaOwners& Owners() {
  static ArenaOwners& owners = *new ArenaOwners;
  return owners;
}

void* AllocateArena(void*, size_t size) {
  MemoryAccount* account = current_account;
  if (account == nullptr) return arenas.alloc(arenas.ctx, size);
  if (!account->MayTake(size)) return nullptr;
  void* arena = arenas.alloc(arenas.ctx, size);
  if (arena == nullptr) return nullptr;
  account->Take(size);
  Owners().Set(arena, account);
  return arena;
}

void FreeArena(void*, void* arena, size_t size) {
  if (arena == nullptr) return;  // CPython 3.14 frees slots that it never filled
  MemoryAccount* account = Owners().Take(arena);
  if (account != nullptr) account->GiveBack(size);
  arenas.free(arenas.ctx, arena, size);
}

}  // namespace

// ---- accounts -----------------------------------------------------------------------------------

int64_t MemoryAccount::current_bytes() const {
  // Below 0 where it freed what others had taken.
  return std::max<int64_t>(0, current_.load(std::memory_order_relaxed));
}

bool MemoryAccount::MayTake(size_t bytes) const {
  const int64_t limit = limit_.load(std::memory_order_relaxed);
  if (limit == 0) return true;
  const int64_t left = limit + reserve_.load(std::memory_order_relaxed) - current_bytes();
  return left > 0 && bytes <= static_cast<size_t>(left);
}

void MemoryAccount::BeginCell() {
  const int64_t wanted = current_bytes() + kCellBytes - limit_.load(std::memory_order_relaxed);
  SetReserve(std::clamp<int64_t>(wanted, 0, kMaxBeyondBytes));
}

void MemoryAccount::Take(size_t bytes) {
  const int64_t change = static_cast<int64_t>(bytes);
  const int64_t now = current_.fetch_add(change, std::memory_order_relaxed) + change;
  int64_t peak = peak_.load(std::memory_order_relaxed);
  while (now > peak && !peak_.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
}

void MemoryAccount::GiveBack(size_t bytes) {
  current_.fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed);
}

void CountMemory() {
  PyMem_GetAllocator(PYMEM_DOMAIN_RAW, &raw);
  PyMemAllocatorEx counting = {.ctx = nullptr,
                               .malloc = RawMalloc,
                               .calloc = RawCalloc,
                               .realloc = RawRealloc,
                               .free = RawFree};
  PyMem_SetAllocator(PYMEM_DOMAIN_RAW, &counting);
  PyObject_GetArenaAllocator(&arenas);
  PyObjectArenaAllocator counting_arenas = {
      .ctx = nullptr, .alloc = AllocateArena, .free = FreeArena};
  PyObject_SetArenaAllocator(&counting_arenas);
}

void EnterAccount(MemoryAccount* account) { current_account = account; }

MemoryAccount* CurrentAccount() { return current_account; }

ReportReserve::ReportReserve() {
  if (current_account == nullptr) return;
  before_ = current_account->reserve();
  current_account->SetReserve(kReportBytes);
}

ReportReserve::~ReportReserve() {
  if (current_account != nullptr) current_account->SetReserve(before_);
}

}  // namespace cloister::sandbox
