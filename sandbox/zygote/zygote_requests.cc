// The part of the zygote that hears what it is asked for, and chooses what comes next.

#include <sys/socket.h>

#include <utility>
#include <vector>

#include "sandbox/base/monotonic_time.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/wire/packet_socket.h"
#include "sandbox/zygote/zygote.h"

namespace cloister::sandbox {
namespace {

using internal::v1::ZygoteRequest;

// Read before anything is cloned.
constexpr int kMaxRequestsAtOnce = 256;

// Then a copy that waits gets its turn.
constexpr int kMaxClonesInARow = 8;

}  // namespace

// All that have come: whoever waits behind a copy may go before it.
absl::Status Zygote::HandleRequests() {
  for (int i = 0; i < kMaxRequestsAtOnce; ++i) {
    ZygoteRequest request;
    std::vector<UniqueFd> descriptors;
    const absl::Status status =
        ReceivePacket(control_.get(), &request, &descriptors, MSG_DONTWAIT);
    if (absl::IsUnavailable(status)) return absl::OkStatus();
    CLOISTER_RETURN_IF_ERROR(status);
    CLOISTER_RETURN_IF_ERROR(HandleRequest(request, std::move(descriptors)));
  }
  return absl::OkStatus();
}

absl::Status Zygote::HandleRequest(const ZygoteRequest& request,
                                   std::vector<UniqueFd> descriptors) {
  if (request.has_retire()) {
    retired_ = true;
  } else if (request.clone_sandbox().joined_sandbox_id() != 0) {
    return JoinSandbox(request.clone_sandbox(), std::move(descriptors));
  } else if (request.has_clone_sandbox()) {
    pending_.push_back({.sandbox_id = request.clone_sandbox().sandbox_id(),
                        .asked_at = MonotonicNanoseconds(),
                        .forkable = request.clone_sandbox().forkable(),
                        .copy = std::nullopt});
  } else if (request.has_copy_sandbox()) {
    pending_copies_.push_back({.sandbox_id = request.copy_sandbox().sandbox_id(),
                               .asked_at = MonotonicNanoseconds(),
                               .copy = request.copy_sandbox()});
  } else if (request.has_finish_copy()) {
    return FinishCopy(request.finish_copy().sandbox_id());
  }
  return absl::OkStatus();
}

Zygote::PendingClone Zygote::TakeNext() {
  const bool copies_wait_long = clones_in_a_row_ >= kMaxClonesInARow && !pending_copies_.empty();
  const bool takes_clone = !pending_.empty() && !copies_wait_long;
  std::deque<PendingClone>& queue = takes_clone ? pending_ : pending_copies_;
  clones_in_a_row_ = takes_clone ? clones_in_a_row_ + 1 : 0;
  PendingClone next = std::move(queue.front());
  queue.pop_front();
  return next;
}

}  // namespace cloister::sandbox
