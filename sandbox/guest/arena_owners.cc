#include "sandbox/guest/arena_owners.h"

#ifndef NDEBUG

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>

namespace cloister::sandbox {
namespace {

constexpr int64_t kMain = 0;
constexpr int64_t kNobody = -1;

class Owners {
 public:
  void Add(uintptr_t arena, size_t size, int64_t owner) {
    const std::lock_guard<std::mutex> lock(mutex_);
    arenas_[arena] = {arena + size, owner};
  }
  void Remove(uintptr_t arena) {
    const std::lock_guard<std::mutex> lock(mutex_);
    arenas_.erase(arena);
  }
  int64_t Find(uintptr_t address) {
    const std::lock_guard<std::mutex> lock(mutex_);
    auto after = arenas_.upper_bound(address);
    if (after == arenas_.begin()) return kNobody;
    const Arena& arena = std::prev(after)->second;
    return address < arena.end ? arena.owner : kNobody;
  }
  void AddSharing(int64_t interpreter) {
    const std::lock_guard<std::mutex> lock(mutex_);
    sharing_.insert(interpreter);
  }
  bool IsSharing(int64_t interpreter) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return sharing_.count(interpreter) > 0;
  }

 private:
  struct Arena {
    uintptr_t end;
    int64_t owner;
  };

  // Of the standard library: see FrameSender.
  std::mutex mutex_;
  std::map<uintptr_t, Arena> arenas_;  // by where they begin
  std::set<int64_t> sharing_;          // interpreters without arenas of their own
};

Owners& TheOwners() {
  static Owners& owners = *new Owners;
  return owners;
}

thread_local bool makes_sharing_one = false;

int64_t IdOf(PyThreadState* thread) {
  return PyInterpreterState_GetID(PyThreadState_GetInterpreter(thread));
}

// Whose arenas the calling thread allocates from; kNobody without an interpreter.
int64_t Caller() {
  PyThreadState* thread = PyThreadState_GetUnchecked();
  if (thread == nullptr) return kNobody;
  const int64_t id = IdOf(thread);
  return makes_sharing_one || TheOwners().IsSharing(id) ? kMain : id;
}

}  // namespace

void NoteArena(void* arena, size_t size) {
  TheOwners().Add(reinterpret_cast<uintptr_t>(arena), size, Caller());
}

void ForgetArena(void* arena) { TheOwners().Remove(reinterpret_cast<uintptr_t>(arena)); }

void BeginSharingMainArenas(bool shares) { makes_sharing_one = shares; }

void EndSharingMainArenas(PyThreadState* made) {
  if (makes_sharing_one && made != nullptr) TheOwners().AddSharing(IdOf(made));
  makes_sharing_one = false;
}

void CheckOwner(PyObject* object) {
  const int64_t owner = TheOwners().Find(reinterpret_cast<uintptr_t>(object));
  const int64_t caller = Caller();
  if (owner == kNobody || caller == kNobody || owner == caller) return;
  fprintf(stderr, "an object of interpreter %lld is touched in interpreter %lld\n",
          static_cast<long long>(owner), static_cast<long long>(caller));
  abort();
}

}  // namespace cloister::sandbox

#endif  // NDEBUG
