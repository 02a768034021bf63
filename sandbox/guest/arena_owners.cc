#include "sandbox/guest/arena_owners.h"

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {
namespace {

constexpr int64_t kMain = 0;
constexpr int64_t kNobody = -1;

// Main's while it is being made.
int64_t CurrentInterpreter() {
  PyThreadState* state = PyThreadState_GetUnchecked();
  return state == nullptr ? kMain : PyInterpreterState_GetID(PyThreadState_GetInterpreter(state));
}

class ArenaOwners {
 public:
  void Set(uintptr_t arena, size_t size) {
    const int64_t owner = CurrentInterpreter();
    const std::lock_guard<std::mutex> lock(mutex_);
    arenas_[arena] = {arena + size, owner};
  }

  void Erase(uintptr_t arena) {
    const std::lock_guard<std::mutex> lock(mutex_);
    arenas_.erase(arena);
  }

  void ShareMain() {
    const int64_t interpreter = CurrentInterpreter();
    const std::lock_guard<std::mutex> lock(mutex_);
    with_main_allocator_.insert(interpreter);
  }

  // Of the allocator the address is from.
  int64_t OwnerOf(uintptr_t address) {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto next = arenas_.upper_bound(address);
    if (next == arenas_.begin()) return kNobody;
    const Arena& arena = (--next)->second;
    return address < arena.end ? AllocatorOf(arena.owner) : kNobody;
  }

  int64_t CurrentAllocator() {
    const int64_t interpreter = CurrentInterpreter();
    const std::lock_guard<std::mutex> lock(mutex_);
    return AllocatorOf(interpreter);
  }

 private:
  struct Arena {
    uintptr_t end = 0;
    int64_t owner = kNobody;
  };

  int64_t AllocatorOf(int64_t interpreter) const {
    return with_main_allocator_.contains(interpreter) ? kMain : interpreter;
  }

  std::mutex mutex_;
  std::map<uintptr_t, Arena> arenas_;
  std::set<int64_t> with_main_allocator_;
};

// Never destroyed: arenas are given back until the very end.
ArenaOwners& Owners() {
  static ArenaOwners& owners = *new ArenaOwners;
  return owners;
}

}  // namespace

#ifdef NDEBUG
bool checks_owners = false;
#else
bool checks_owners = true;
#endif

void CheckOwner(const void* object) {
  if (object == nullptr) return;
  const int64_t owner = Owners().OwnerOf(reinterpret_cast<uintptr_t>(object));
  const int64_t here = Owners().CurrentAllocator();
  if (owner == kNobody || owner == here) return;
  fprintf(stderr,
          "cloister: an object at %p of interpreter %" PRId64 " is touched in interpreter %" PRId64
          "\n",
          object, owner, here);
  abort();
}

void NoteArena(void* arena, size_t size) {
  if (checks_owners && arena != nullptr) Owners().Set(reinterpret_cast<uintptr_t>(arena), size);
}

void ForgetArena(void* arena) {
  if (checks_owners) Owners().Erase(reinterpret_cast<uintptr_t>(arena));
}

void NoteMainAllocator() {
  if (checks_owners) Owners().ShareMain();
}

}  // namespace cloister::sandbox
