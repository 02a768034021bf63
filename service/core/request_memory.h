// What requests that have not started yet hold in memory: bounded for all of them together, because
// a queue bounded by their number alone would take gigabytes of the largest.

#ifndef CLOISTER_SERVICE_CORE_REQUEST_MEMORY_H_
#define CLOISTER_SERVICE_CORE_REQUEST_MEMORY_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "service/core/call_observer.h"

namespace cloister::core {

// Thread-safety: safe; a Share belongs to one thread at a time.
// Ownership: must outlive its shares; `observer` must outlive it.
class RequestMemory {
 public:
  // One request's part; given back when destroyed or overwritten.
  class Share {
   public:
    Share() = default;
    Share(Share&& other) noexcept
        : memory_(std::exchange(other.memory_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(memory_, other.memory_);
      std::swap(bytes_, other.bytes_);
      other.Release();
      return *this;
    }
    ~Share() { Release(); }

    void Release();

   private:
    friend class RequestMemory;
    Share(RequestMemory* memory, int64_t bytes) : memory_(memory), bytes_(bytes) {}

    RequestMemory* memory_ = nullptr;
    int64_t bytes_ = 0;
  };

  RequestMemory(int64_t budget_bytes, CallObserver* observer)
      : budget_bytes_(budget_bytes), observer_(observer) {}
  RequestMemory(const RequestMemory&) = delete;
  RequestMemory& operator=(const RequestMemory&) = delete;

  // Errors: OVERLOADED past the budget. Where nothing is held, a request of any size is admitted:
  // otherwise a small budget would refuse a large one for ever.
  absl::StatusOr<Share> Take(int64_t bytes);

  // For who can wait, of more than 0 bytes: calls `function` once, perhaps inline, from whatever thread gives back what makes room. It must
  // not take long. Oldest first, but Take does not wait behind them. Errors: OVERLOADED where all that wait have as
  // much as the budget.
  using GrantFunction = std::function<void(Share)>;
  absl::StatusOr<uint64_t> Await(int64_t bytes, GrantFunction function);
  // It is not called any more, unless that is under way. 0 is nobody's.
  void CancelAwait(uint64_t id);

  int64_t held_bytes() const { return held_bytes_.load(); }

 private:
  struct Waiter {
    int64_t bytes;
    GrantFunction function;
  };

  std::optional<Share> TryTake(int64_t bytes);
  absl::Status FullError(int64_t bytes) const;
  // To those that wait, what there is room for.
  void Grant();

  const int64_t budget_bytes_;
  CallObserver* const observer_;
  // Both are read by who has just written the other, and so in one order for all: or a waiter and who
  // makes room for it could miss one another.
  std::atomic<int64_t> held_bytes_ = 0;
  std::atomic<int64_t> waiting_bytes_ = 0;
  absl::Mutex mutex_;
  std::map<uint64_t, Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_waiter_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_REQUEST_MEMORY_H_
