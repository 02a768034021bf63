#include "service/pool/lease_queue.h"

#include <algorithm>
#include <utility>

namespace cloister::pool {

LeaseQueue::LeaseQueue(sandbox::Loop* loop, std::function<void(Waiter)> on_expired)
    : loop_(loop), on_expired_(std::move(on_expired)) {}

LeaseQueue::~LeaseQueue() {
  for (const auto& [ticket, waiter] : waiters_) loop_->Cancel(waiter.timer);
}

void LeaseQueue::Push(Ticket ticket, Waiter waiter) {
  waiters_.emplace_hint(waiters_.end(), ticket, std::move(waiter));
}

LeaseQueue::Waiter LeaseQueue::Pop() {
  Waiter waiter = std::move(waiters_.extract(waiters_.begin()).mapped());
  loop_->Cancel(waiter.timer);
  return waiter;
}

bool LeaseQueue::Remove(Ticket ticket) {
  const auto found = waiters_.find(ticket);
  if (found == waiters_.end()) return false;
  loop_->Cancel(found->second.timer);
  waiters_.erase(found);
  return true;
}

void LeaseQueue::ArmTimers() {
  const absl::Time now = loop_->Now();
  for (auto it = waiters_.upper_bound(last_armed_); it != waiters_.end(); ++it) {
    Waiter& waiter = it->second;
    const absl::Time end = std::min(waiter.deadline, waiter.patience_end);
    waiter.timer = loop_->CallAfter(end - now, [this, ticket = it->first] { Expire(ticket); });
    last_armed_ = it->first;
  }
}

void LeaseQueue::Expire(Ticket ticket) {
  const auto found = waiters_.find(ticket);
  if (found == waiters_.end()) return;
  Waiter waiter = std::move(found->second);
  waiters_.erase(found);
  on_expired_(std::move(waiter));
}

}  // namespace cloister::pool
