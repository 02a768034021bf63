#include "service/core/request_memory.h"

#include "absl/strings/str_cat.h"
#include "service/core/error.h"

namespace cloister::core {
namespace {

// Requests wait for the length of a few programs.
constexpr absl::Duration kRetryDelay = absl::Seconds(1);

}  // namespace

void RequestMemory::Share::Release() {
  if (memory_ == nullptr) return;
  RequestMemory& memory = *std::exchange(memory_, nullptr);
  const int64_t bytes = std::exchange(bytes_, 0);
  memory.held_bytes_.fetch_sub(bytes);
  memory.observer_->OnRequestBytes(-bytes);
  memory.Grant();
}

absl::Status RequestMemory::FullError(int64_t bytes) const {
  return WithRetryDelay(
      MakeError(
          v1::ERROR_REASON_OVERLOADED,
          absl::StrCat("the requests that wait hold ", held_bytes(), " of ", budget_bytes_,
                       " bytes (queue.maximum_bytes) and this one has ", bytes, "; retry later")),
      kRetryDelay);
}

std::optional<RequestMemory::Share> RequestMemory::TryTake(int64_t bytes) {
  int64_t held = held_bytes_.load();
  do {
    if (held != 0 && bytes > budget_bytes_ - held) return std::nullopt;
  } while (!held_bytes_.compare_exchange_weak(held, held + bytes));
  observer_->OnRequestBytes(bytes);
  return Share(this, bytes);
}

absl::StatusOr<RequestMemory::Share> RequestMemory::Take(int64_t bytes) {
  std::optional<Share> share = TryTake(bytes);
  if (!share.has_value()) return FullError(bytes);
  return *std::move(share);
}

// ---- waiting ------------------------------------------------------------------------------------

absl::StatusOr<uint64_t> RequestMemory::Await(int64_t bytes, GrantFunction function) {
  uint64_t id = 0;
  {
    const absl::MutexLock lock(&mutex_);
    if (waiting_bytes_ != 0 && bytes > budget_bytes_ - waiting_bytes_) return FullError(bytes);
    waiting_bytes_ += bytes;
    id = ++last_waiter_;
    waiters_.emplace(id, Waiter{bytes, std::move(function)});
  }
  Grant();
  return id;
}

void RequestMemory::CancelAwait(uint64_t id) {
  std::optional<Waiter> dropped;  // its function, outside of the lock
  {
    const absl::MutexLock lock(&mutex_);
    const auto found = waiters_.find(id);
    if (found == waiters_.end()) return;
    waiting_bytes_ -= found->second.bytes;
    dropped = std::move(found->second);
    waiters_.erase(found);
  }
  Grant();  // to those behind it
}

void RequestMemory::Grant() {
  while (waiting_bytes_ != 0) {
    GrantFunction function;
    std::optional<Share> share;
    {
      const absl::MutexLock lock(&mutex_);
      if (waiters_.empty()) return;
      const auto first = waiters_.begin();
      share = TryTake(first->second.bytes);
      if (!share.has_value()) return;
      waiting_bytes_ -= first->second.bytes;
      function = std::move(first->second.function);
      waiters_.erase(first);
    }
    function(*std::move(share));
  }
}

}  // namespace cloister::core
