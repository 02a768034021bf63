// Where sandboxes, the pool and executions live, as an interface: one function at a time. Real time
// and a real thread in the server, a hand-driven clock in unit tests.

#ifndef CLOISTER_SANDBOX_BASE_LOOP_H_
#define CLOISTER_SANDBOX_BASE_LOOP_H_

#include <cstdint>
#include <functional>
#include <utility>

#include "absl/time/time.h"

namespace cloister::sandbox {

// Runs functions one after another, never two at once. "The loop's thread" is, wherever it is said,
// whichever thread runs such a function at that moment: see Enter.
//
// Thread-safety: Post and Enter may be called from any thread, all else on the loop's thread only.
class Loop {
 public:
  // Names a pending call; 0 names none.
  using TimerId = uint64_t;

  virtual ~Loop() = default;

  // Runs `function` on the loop's thread, after what was posted before. Never runs it inline.
  virtual void Post(std::function<void()> function) = 0;

  // As Post, but where nothing runs at the moment the caller's thread may run it at once, before this
  // returns, and with it what was posted before: that spares a call the way to another thread. Not
  // while the caller holds a lock that functions of the loop take. On the loop's thread it is Post.
  virtual void Enter(std::function<void()> function) { Post(std::move(function)); }

  // Runs `function` once after `delay`. A delay of zero or less means as soon as possible, never
  // inline.
  virtual TimerId CallAfter(absl::Duration delay, std::function<void()> function) = 0;

  // Forgets a pending call; a past or unknown id is ignored.
  virtual void Cancel(TimerId id) = 0;

  // A clock that never jumps; only differences mean anything.
  virtual absl::Time Now() const = 0;

  // Whether the caller is on the loop's thread.
  virtual bool IsCurrent() const = 0;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_BASE_LOOP_H_
