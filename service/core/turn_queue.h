// Who waits for a live interpreter: in order, bounded in number, each with a deadline.

#ifndef CLOISTER_SERVICE_CORE_TURN_QUEUE_H_
#define CLOISTER_SERVICE_CORE_TURN_QUEUE_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "sandbox/base/loop.h"
#include "service/core/turn_source.h"

namespace cloister::core {

// Thread-safety: loop thread only. Ownership: `loop` must outlive it. What is left when it is
// destroyed is forgotten.
class TurnQueue {
 public:
  struct Waiter {
    TurnSource::Ticket ticket = 0;
    std::string execution = {};
    CellRequest cell = {};
    absl::Time arrived = {};
    TurnSource::TurnCallback done = nullptr;
    // Where it asks something: what, and who is told. Errors go through `done` as well.
    std::optional<sandbox::NotebookQuestion> question = std::nullopt;
    sandbox::NotebookCallback answer = nullptr;
    sandbox::Loop::TimerId timer = 0;  // of the deadline
    // Set for what is no cell; `done` is called with errors only.
    std::function<void(std::function<void()> over)> work = nullptr;
  };

  TurnQueue(sandbox::Loop* loop, size_t maximum) : loop_(loop), maximum_(maximum) {}
  TurnQueue(const TurnQueue&) = delete;
  TurnQueue& operator=(const TurnQueue&) = delete;
  ~TurnQueue();

  // Errors: EXECUTION_QUEUE_FULL, NOT_STARTED. `done` is called with NOT_STARTED when the deadline
  // passes.
  absl::Status Push(Waiter waiter, absl::Time deadline);
  void Abandon(TurnSource::Ticket ticket);
  // The first; not where it is empty.
  Waiter Pop();
  // Calls every `done` with this, in order.
  void FailAll(const absl::Status& why);

  bool empty() const { return waiters_.empty(); }
  size_t size() const { return waiters_.size(); }

 private:
  std::deque<Waiter>::iterator Find(TurnSource::Ticket ticket);
  void OnDeadline(TurnSource::Ticket ticket);

  sandbox::Loop* const loop_;
  const size_t maximum_;
  std::deque<Waiter> waiters_;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_TURN_QUEUE_H_
