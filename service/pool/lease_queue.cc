#include "service/pool/lease_queue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"

namespace cloister::pool {

LeaseQueue::LeaseQueue(sandbox::Loop* loop, std::function<void(Waiter)> on_expired)
    : loop_(loop), on_expired_(std::move(on_expired)) {}

LeaseQueue::~LeaseQueue() {
  for (const auto& [ticket, waiter] : waiters_) loop_->Cancel(waiter.timer);
}

void LeaseQueue::Push(Ticket ticket, Waiter waiter) {
  const auto [line, is_new] = lines_.try_emplace(waiter.party.id);
  if (is_new) {
    // Who did not wait has saved nothing up.
    const auto left = left_.extract(waiter.party.id);
    line->second.served = left.empty() ? served_ : std::max(served_, left.mapped());
  }
  line->second.weight = waiter.party.weight;
  line->second.tickets.insert(ticket);
  waiters_.emplace_hint(waiters_.end(), ticket, std::move(waiter));
}

LeaseQueue::Waiter LeaseQueue::Pop() {
  // There are few lines: parties that wait at this moment.
  const auto next =
      std::min_element(lines_.begin(), lines_.end(), [](const auto& one, const auto& other) {
        const Line& a = one.second;
        const Line& b = other.second;
        if (a.served != b.served) return a.served < b.served;
        return *a.tickets.begin() < *b.tickets.begin();
      });
  Line& line = next->second;
  served_ = line.served;
  line.served += 1.0 / line.weight;
  return Extract(*line.tickets.begin());
}

LeaseQueue::Waiter LeaseQueue::Extract(Ticket ticket) {
  Waiter waiter = std::move(waiters_.extract(ticket).mapped());
  loop_->Cancel(waiter.timer);
  if (waiter.is_displaced) {
    --displaced_;
  } else {
    LeaveLine(ticket, waiter.party);
  }
  return waiter;
}

void LeaseQueue::LeaveLine(Ticket ticket, const Party& party) {
  const auto line = lines_.find(party.id);
  line->second.tickets.erase(ticket);
  if (!line->second.tickets.empty()) return;
  std::erase_if(left_, [this](const auto& one) { return one.second <= served_; });
  if (line->second.served > served_) left_[party.id] = line->second.served;
  lines_.erase(line);
}

bool LeaseQueue::Displace(const Party& party) {
  const auto own = lines_.find(party.id);
  const size_t waiting = own == lines_.end() ? 0 : own->second.tickets.size();
  double most = static_cast<double>(waiting + 1) / party.weight;
  const Line* greediest = nullptr;
  for (const auto& [id, line] : lines_) {
    const double share = static_cast<double>(line.tickets.size()) / line.weight;
    if (id == party.id || share <= most) continue;
    most = share;
    greediest = &line;
  }
  if (greediest == nullptr) return false;
  const Ticket last = *greediest->tickets.rbegin();
  Waiter& waiter = waiters_.at(last);
  LeaveLine(last, waiter.party);
  waiter.is_displaced = true;
  ++displaced_;
  // Not from inside somebody else's request.
  loop_->Cancel(waiter.timer);
  waiter.timer = loop_->CallAfter(absl::ZeroDuration(), [this, last] { Expire(last); });
  return true;
}

bool LeaseQueue::Remove(Ticket ticket) {
  if (waiters_.find(ticket) == waiters_.end()) return false;
  Extract(ticket);
  return true;
}

void LeaseQueue::ArmTimers() {
  const absl::Time now = loop_->Now();
  for (auto it = waiters_.upper_bound(last_armed_); it != waiters_.end(); ++it) {
    Waiter& waiter = it->second;
    last_armed_ = it->first;
    if (waiter.is_displaced) continue;
    const absl::Time end = std::min(waiter.deadline, waiter.patience_end);
    waiter.timer = loop_->CallAfter(end - now, [this, ticket = it->first] { Expire(ticket); });
  }
}

void LeaseQueue::Expire(Ticket ticket) {
  if (waiters_.find(ticket) == waiters_.end()) return;
  on_expired_(Extract(ticket));
}

absl::Status OverloadedError(int maximum, absl::Duration retry_delay) {
  return core::WithRetryDelay(
      core::MakeError(v1::ERROR_REASON_OVERLOADED, absl::StrCat("the queue for sandboxes is full (",
                                                                maximum, " waiting); retry later")),
      retry_delay);
}

}  // namespace cloister::pool
