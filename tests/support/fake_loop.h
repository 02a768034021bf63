// A Loop whose time stands still until a test moves it.

#ifndef CLOISTER_TESTS_SUPPORT_FAKE_LOOP_H_
#define CLOISTER_TESTS_SUPPORT_FAKE_LOOP_H_

#include <deque>
#include <functional>
#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "sandbox/base/loop.h"

namespace cloister::testing {

// Thread-safety: Post from any thread; all else from the test's own.
class FakeLoop final : public sandbox::Loop {
 public:
  // Runs what was posted and every call that is due, and what these post, until nothing is left.
  void Run();

  // Moves the clock, stopping at each call that becomes due on the way.
  void Advance(absl::Duration duration);

  // Calls that wait for their time.
  size_t timer_count() const { return timers_.size(); }

  // sandbox::Loop
  void Post(std::function<void()> function) override ABSL_LOCKS_EXCLUDED(mutex_);
  TimerId CallAfter(absl::Duration delay, std::function<void()> function) override;
  void Cancel(TimerId id) override;
  absl::Time Now() const override { return now_; }
  bool IsCurrent() const override { return true; }

 private:
  bool RunOnePosted() ABSL_LOCKS_EXCLUDED(mutex_);
  // The first call that is due by `end`; the clock goes on to its time.
  bool RunOneTimer(absl::Time end);

  absl::Mutex mutex_;
  std::deque<std::function<void()>> posted_ ABSL_GUARDED_BY(mutex_);
  // By time, then in the order they were asked for.
  std::map<std::pair<absl::Time, TimerId>, std::function<void()>> timers_;
  std::map<TimerId, absl::Time> due_;
  TimerId last_id_ = 0;
  // Far from zero, so that a test notices who takes the loop's clock for the wall's.
  absl::Time now_ = absl::FromUnixSeconds(1'000'000);
};

}  // namespace cloister::testing

#endif  // CLOISTER_TESTS_SUPPORT_FAKE_LOOP_H_
