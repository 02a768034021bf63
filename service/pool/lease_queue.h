// Requests that wait for a sandbox: first come, first served, each no longer than it may.

#ifndef CLOISTER_SERVICE_POOL_LEASE_QUEUE_H_
#define CLOISTER_SERVICE_POOL_LEASE_QUEUE_H_

#include <cstddef>
#include <functional>
#include <map>

#include "absl/time/time.h"
#include "sandbox/base/loop.h"
#include "service/core/sandbox_source.h"

namespace cloister::pool {

// Thread-safety: loop thread only.
class LeaseQueue {
 public:
  using Ticket = core::SandboxSource::Ticket;

  struct Waiter {
    core::SandboxSource::LeaseCallback done;
    absl::Time arrived;
    absl::Time deadline;      // the caller's
    absl::Time patience_end;  // the queue's
    bool warm = false;        // a ready sandbox was there for it when it came
    sandbox::Loop::TimerId timer = 0;
  };

  // `on_expired` gets who has waited too long; it is out of the queue by then.
  LeaseQueue(sandbox::Loop* loop, std::function<void(Waiter)> on_expired);
  ~LeaseQueue();
  LeaseQueue(const LeaseQueue&) = delete;
  LeaseQueue& operator=(const LeaseQueue&) = delete;

  // Tickets come in rising order. Nobody's clock runs before ArmTimers.
  void Push(Ticket ticket, Waiter waiter);

  // The one that came first; the queue is not empty.
  Waiter Pop();

  // Whether it was there.
  bool Remove(Ticket ticket);

  // Starts the clocks of those who joined since the last call. Apart from Push, because who is served
  // at once never needs one.
  void ArmTimers();

  bool empty() const { return waiters_.empty(); }
  size_t size() const { return waiters_.size(); }

 private:
  void Expire(Ticket ticket);

  sandbox::Loop* const loop_;
  const std::function<void(Waiter)> on_expired_;
  std::map<Ticket, Waiter> waiters_;  // in the order of their tickets, which is that of arrival
  Ticket last_armed_ = 0;
};

}  // namespace cloister::pool

#endif  // CLOISTER_SERVICE_POOL_LEASE_QUEUE_H_
