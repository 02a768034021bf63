// The loop of the server: real time, Asio underneath. One thread waits for descriptors and timers;
// functions are run by whoever has the turn, which is that thread or one that entered.
//
// Thread-safety: as Loop; Run and Stop beside it.
// Ownership: outlives everything that uses it. What is still pending when it is destroyed never
// runs.

#ifndef CLOISTER_SANDBOX_HOST_ASIO_LOOP_H_
#define CLOISTER_SANDBOX_HOST_ASIO_LOOP_H_

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "sandbox/base/loop.h"

namespace cloister::sandbox {

class AsioLoop final : public Loop {
 public:
  AsioLoop();
  AsioLoop(const AsioLoop&) = delete;
  AsioLoop& operator=(const AsioLoop&) = delete;
  ~AsioLoop() override;

  // Serves descriptors, timers and what is posted, until Stop. May be called again after it returned;
  // nothing is run by anybody before and after.
  void Run();

  // From any thread: Run returns after the function it is in; what is pending stays pending.
  void Stop();

  // Drops, unrun, what was posted and what waits for its time, with all that these hold: before anything
  // goes that they need. Not while it runs.
  void Discard();

  void Post(std::function<void()> function) override;
  void Enter(std::function<void()> function) override;
  TimerId CallAfter(absl::Duration delay, std::function<void()> function) override;
  void Cancel(TimerId id) override;
  absl::Time Now() const override;
  bool IsCurrent() const override;

  // For those who wait for descriptors: what the context calls back has to go through RunInTurn.
  asio::io_context& io_context() { return io_context_; }

  // On the thread in Run: waits for the turn, runs `function`, and then what was posted.
  void RunInTurn(absl::FunctionRef<void()> function);

 private:
  using Clock = std::chrono::steady_clock;

  struct Timer {
    Clock::time_point due;
    std::function<void()> function;
  };

  // The clock's own reach is not to be passed.
  static constexpr absl::Duration kForever = absl::Hours(24 * 365);

  // What one turn takes of what is posted; a thread that entered has other things to do.
  static constexpr int kPostedPerTurn = 16;

  // Has the alarm go off no later than the first timer is due. It is never put off, and may find
  // nothing to do: of the timers that calls set and cancel again, hardly any is worth a system call.
  void Arm();
  void OnAlarm();
  void RunFirstTimer();

  // Runs what is posted unless somebody else has the turn: he looks for it when he gives it away.
  void RunPostedIfFree();
  void RunPosted() ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_);
  bool HasPosted();
  // Has the thread in Run take a turn.
  void Wake();

  asio::io_context io_context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_guard_;

  absl::Mutex posted_mutex_;
  std::deque<std::function<void()>> posted_ ABSL_GUARDED_BY(posted_mutex_);
  std::atomic<bool> waking_ = false;

  // Held by whoever runs functions.
  absl::Mutex turn_;
  std::atomic<std::thread::id> turn_holder_;
  bool running_ ABSL_GUARDED_BY(turn_) = false;

  // Of whoever has the turn.
  TimerId next_timer_ = 1;
  std::unordered_map<TimerId, Timer> timers_;
  std::set<std::pair<Clock::time_point, TimerId>> due_;
  asio::steady_timer alarm_;
  Clock::time_point armed_ = Clock::time_point::max();
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_ASIO_LOOP_H_
