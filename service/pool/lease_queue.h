// Requests that wait for a sandbox, each no longer than it may. Those of one party are served in
// the order they came; where several parties wait, each gets its turn, in proportion to its weight.

#ifndef CLOISTER_SERVICE_POOL_LEASE_QUEUE_H_
#define CLOISTER_SERVICE_POOL_LEASE_QUEUE_H_

#include <cstddef>
#include <functional>
#include <map>
#include <set>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "sandbox/base/loop.h"
#include "service/core/sandbox_source.h"

namespace cloister::pool {

// On whose account a request waits.
struct Party {
  int id = 0;
  int weight = 1;
};

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
    Party party = {};
    bool is_displaced = false;
    sandbox::Loop::TimerId timer = 0;
  };

  // `on_expired` gets who has waited too long; it is out of the queue by then.
  LeaseQueue(sandbox::Loop* loop, std::function<void(Waiter)> on_expired);
  ~LeaseQueue();
  LeaseQueue(const LeaseQueue&) = delete;
  LeaseQueue& operator=(const LeaseQueue&) = delete;

  // Tickets come in rising order. Nobody's clock runs before ArmTimers.
  void Push(Ticket ticket, Waiter waiter);

  // Whose turn it is; the queue is not empty.
  Waiter Pop();

  // Where another party has more waiting than `party` would have for its weight with one more, the
  // last that came of whoever has most gives its place up: it expires at once. Whether there was
  // one.
  bool Displace(const Party& party);

  // Whether it was there.
  bool Remove(Ticket ticket);

  // Starts the clocks of those who joined since the last call. Apart from Push, because who is served
  // at once never needs one.
  void ArmTimers();

  // Without who was displaced.
  bool empty() const { return lines_.empty(); }
  size_t size() const { return waiters_.size() - displaced_; }

 private:
  struct Line {
    int weight = 1;
    // What it was served, in turns divided by its weight.
    double served = 0;
    std::set<Ticket> tickets = {};
  };

  void Expire(Ticket ticket);
  // Out of the queue, its clock stopped.
  Waiter Extract(Ticket ticket);
  void LeaveLine(Ticket ticket, const Party& party);

  sandbox::Loop* const loop_;
  const std::function<void(Waiter)> on_expired_;
  std::map<Ticket, Waiter> waiters_;  // in the order of their tickets, which is that of arrival
  size_t displaced_ = 0;              // of them
  // Of those who wait; who comes anew is where the one that is served last in proportion is.
  std::map<int, Line> lines_;
  double served_ = 0;
  // Where those were who left as they were served and are ahead of served_: coming back at once is no
  // way to be first again.
  std::map<int, double> left_;
  Ticket last_armed_ = 0;
};

// Of a queue that has `maximum` waiting.
absl::Status OverloadedError(int maximum, absl::Duration retry_delay);

}  // namespace cloister::pool

#endif  // CLOISTER_SERVICE_POOL_LEASE_QUEUE_H_
