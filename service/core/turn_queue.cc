#include "service/core/turn_queue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"

namespace cloister::core {
namespace {

// Cells commonly take about so long.
constexpr absl::Duration kRetryDelay = absl::Milliseconds(100);

absl::Status TooLateError() {
  return MakeError(v1::ERROR_REASON_NOT_STARTED,
                   "the caller's deadline passed before the interpreter was free");
}

}  // namespace

TurnQueue::~TurnQueue() {
  for (const Waiter& waiter : waiters_) loop_->Cancel(waiter.timer);
}

absl::Status TurnQueue::Push(Waiter waiter, absl::Time deadline) {
  if (waiters_.size() >= maximum_) {
    return WithRetryDelay(
        WithMetadata(MakeError(v1::ERROR_REASON_EXECUTION_QUEUE_FULL,
                               absl::StrCat(maximum_,
                                            " executions wait for this interpreter; "
                                            "retry when some have ended")),
                     "maximum", absl::StrCat(maximum_)),
        kRetryDelay);
  }
  const absl::Time now = loop_->Now();
  if (deadline <= now) return TooLateError();
  if (deadline != absl::InfiniteFuture()) {
    waiter.timer =
        loop_->CallAfter(deadline - now, [this, ticket = waiter.ticket] { OnDeadline(ticket); });
  }
  waiters_.push_back(std::move(waiter));
  return absl::OkStatus();
}

std::deque<TurnQueue::Waiter>::iterator TurnQueue::Find(TurnSource::Ticket ticket) {
  return std::find_if(waiters_.begin(), waiters_.end(),
                      [ticket](const Waiter& waiter) { return waiter.ticket == ticket; });
}

void TurnQueue::Abandon(TurnSource::Ticket ticket) {
  const auto found = Find(ticket);
  if (found == waiters_.end()) return;
  loop_->Cancel(found->timer);
  waiters_.erase(found);
}

TurnQueue::Waiter TurnQueue::Pop() {
  Waiter first = std::move(waiters_.front());
  waiters_.pop_front();
  loop_->Cancel(first.timer);
  return first;
}

void TurnQueue::FailAll(const absl::Status& why) {
  // Whoever is told may ask again.
  for (Waiter& waiter : std::exchange(waiters_, {})) {
    loop_->Cancel(waiter.timer);
    waiter.done(why);
  }
}

void TurnQueue::OnDeadline(TurnSource::Ticket ticket) {
  const auto found = Find(ticket);
  if (found == waiters_.end()) return;
  const TurnSource::TurnCallback done = std::move(found->done);
  waiters_.erase(found);
  done(TooLateError());
}

}  // namespace cloister::core
