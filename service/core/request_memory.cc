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
  memory_->held_bytes_.fetch_sub(bytes_, std::memory_order_relaxed);
  memory_->observer_->OnRequestBytes(-bytes_);
  memory_ = nullptr;
  bytes_ = 0;
}

absl::StatusOr<RequestMemory::Share> RequestMemory::Take(int64_t bytes) {
  int64_t held = held_bytes_.load(std::memory_order_relaxed);
  do {
    if (held != 0 && bytes > budget_bytes_ - held) {
      return WithRetryDelay(
          MakeError(v1::ERROR_REASON_OVERLOADED,
                    absl::StrCat("the requests that wait hold ", held, " of ", budget_bytes_,
                                 " bytes (queue.maximum_bytes) and this one has ", bytes,
                                 "; retry later")),
          kRetryDelay);
    }
  } while (!held_bytes_.compare_exchange_weak(held, held + bytes, std::memory_order_relaxed));
  observer_->OnRequestBytes(bytes);
  return Share(this, bytes);
}

}  // namespace cloister::core
