// What an interpreter holds through Python's allocators, and the bound of it.
//
// Counted are the arenas of the object allocator and the blocks of the raw one, which all larger
// objects come from, in threads that have entered an account. Memory that C code takes from malloc
// or the kernel is not in it. Of interpreters that share main's allocator the figures are
// estimates: an arena is its maker's, whoever has objects in it, and a block that another one frees
// is taken from the other's account.
//
// Processes that never call CountMemory pay nothing: the allocators are wrapped in those that do.

#ifndef CLOISTER_SANDBOX_GUEST_MEMORY_ACCOUNT_H_
#define CLOISTER_SANDBOX_GUEST_MEMORY_ACCOUNT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace cloister::sandbox {

// Thread-safety: any thread. Ownership: never freed, since the last blocks of a thread go when the
// interpreter is over.
class MemoryAccount {
 public:
  MemoryAccount() = default;
  MemoryAccount(const MemoryAccount&) = delete;
  MemoryAccount& operator=(const MemoryAccount&) = delete;

  // 0 for none.
  void SetLimit(int64_t bytes) { limit_.store(bytes, std::memory_order_relaxed); }

  int64_t current_bytes() const;
  int64_t peak_bytes() const { return peak_.load(std::memory_order_relaxed); }

  bool MayTake(size_t bytes) const;
  void Take(size_t bytes);
  void GiveBack(size_t bytes);

  // A cell starts: it may take a little in any case, to be compiled and to let go of something, up
  // to some way beyond the limit.
  void BeginCell();

  // What may be taken beyond the limit.
  int64_t reserve() const { return reserve_.load(std::memory_order_relaxed); }
  void SetReserve(int64_t bytes) { reserve_.store(bytes, std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> limit_ = 0;
  std::atomic<int64_t> reserve_ = 0;
  std::atomic<int64_t> current_ = 0;
  std::atomic<int64_t> peak_ = 0;
};

// Makes CPython's allocators count. Once, with the GIL of the only interpreter.
void CountMemory();

// From here on the calling thread's account; null for none.
void EnterAccount(MemoryAccount* account);

// Null where the thread has none.
MemoryAccount* CurrentAccount();

// While it lives the thread's account may go beyond its limit, to say how a cell ended.
class ReportReserve {
 public:
  ReportReserve();
  ReportReserve(const ReportReserve&) = delete;
  ReportReserve& operator=(const ReportReserve&) = delete;
  ~ReportReserve();

 private:
  int64_t before_ = 0;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MEMORY_ACCOUNT_H_
