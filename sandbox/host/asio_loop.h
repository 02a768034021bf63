// The loop of the server: real time, one thread, Asio underneath.
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
#include <functional>
#include <thread>
#include <unordered_map>

#include "absl/time/time.h"
#include "sandbox/base/loop.h"

namespace cloister::sandbox {

class AsioLoop final : public Loop {
 public:
  AsioLoop();
  AsioLoop(const AsioLoop&) = delete;
  AsioLoop& operator=(const AsioLoop&) = delete;
  ~AsioLoop() override;

  // Makes the calling thread the loop's, until Stop. May be called again after it returned.
  void Run();

  // From any thread: Run returns after the function it is in; what is pending stays pending.
  void Stop();

  void Post(std::function<void()> function) override;
  TimerId CallAfter(absl::Duration delay, std::function<void()> function) override;
  void Cancel(TimerId id) override;
  absl::Time Now() const override;
  bool IsCurrent() const override;

  // For those who wait for descriptors.
  asio::io_context& io_context() { return io_context_; }

 private:
  struct Timer {
    asio::steady_timer timer;
    std::function<void()> function;
  };

  void RunTimer(TimerId id);

  asio::io_context io_context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_guard_;
  std::atomic<std::thread::id> thread_;

  // Of the loop's thread.
  TimerId next_timer_ = 1;
  std::unordered_map<TimerId, Timer> timers_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_ASIO_LOOP_H_
