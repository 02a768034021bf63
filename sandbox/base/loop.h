// The one thread on which sandboxes, the pool and executions live, as an interface: real time and a
// real thread in the server, a hand-driven clock in unit tests.

#ifndef CLOISTER_SANDBOX_BASE_LOOP_H_
#define CLOISTER_SANDBOX_BASE_LOOP_H_

#include <cstdint>
#include <functional>

#include "absl/time/time.h"

namespace cloister::sandbox {

// Runs functions one after another on one thread.
//
// Thread-safety: Post may be called from any thread, all else on the loop's own thread only.
class Loop {
 public:
  // Names a pending call; 0 names none.
  using TimerId = uint64_t;

  virtual ~Loop() = default;

  // Runs `function` on the loop's thread, after what was posted before. Never runs it inline.
  virtual void Post(std::function<void()> function) = 0;

  // Runs `function` once after `delay`. A delay of zero or less means as soon as possible, never
  // inline.
  virtual TimerId CallAfter(absl::Duration delay, std::function<void()> function) = 0;

  // Forgets a pending call; a past or unknown id is ignored.
  virtual void Cancel(TimerId id) = 0;

  // A clock that never jumps; only differences mean anything.
  virtual absl::Time Now() const = 0;

  // Whether the caller is on the loop's thread; for assertions.
  virtual bool IsCurrent() const = 0;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_BASE_LOOP_H_
