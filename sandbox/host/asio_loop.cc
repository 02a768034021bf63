#include "sandbox/host/asio_loop.h"

#include <algorithm>
#include <asio/post.hpp>
#include <chrono>
#include <utility>

namespace cloister::sandbox {

// One thread runs the context; the hint spares its locks where they would be for others.
AsioLoop::AsioLoop()
    : io_context_(1), work_guard_(io_context_.get_executor()), alarm_(io_context_) {}

AsioLoop::~AsioLoop() = default;

void AsioLoop::Run() {
  io_context_.restart();
  {
    const absl::MutexLock lock(&turn_);
    running_ = true;
  }
  if (HasPosted()) Wake();
  io_context_.run();
  const absl::MutexLock lock(&turn_);
  running_ = false;
}

void AsioLoop::Stop() { io_context_.stop(); }

void AsioLoop::Discard() {
  // What they hold may post again as it goes.
  for (;;) {
    std::deque<std::function<void()>> posted;
    {
      const absl::MutexLock lock(&posted_mutex_);
      posted.swap(posted_);
    }
    due_.clear();
    const auto timers = std::exchange(timers_, {});
    if (posted.empty() && timers.empty()) return;
  }
}

// ---- turns --------------------------------------------------------------------------------------

void AsioLoop::Post(std::function<void()> function) {
  {
    const absl::MutexLock lock(&posted_mutex_);
    posted_.push_back(std::move(function));
  }
  // Whoever has the turn looks before it gives it away.
  if (!IsCurrent()) Wake();
}

void AsioLoop::Enter(std::function<void()> function) {
  {
    const absl::MutexLock lock(&posted_mutex_);
    posted_.push_back(std::move(function));
  }
  if (!IsCurrent()) RunPostedIfFree();
}

void AsioLoop::Wake() {
  if (waking_.exchange(true)) return;
  asio::post(io_context_, [this] {
    waking_ = false;
    RunInTurn([] {});
  });
}

void AsioLoop::RunInTurn(absl::FunctionRef<void()> function) {
  {
    const absl::MutexLock lock(&turn_);
    turn_holder_ = std::this_thread::get_id();
    function();
    RunPosted();
    turn_holder_ = std::thread::id();
  }
  if (HasPosted()) Wake();
}

void AsioLoop::RunPostedIfFree() {
  if (!turn_.TryLock()) return;
  const bool is_running = running_;
  if (is_running) {
    turn_holder_ = std::this_thread::get_id();
    RunPosted();
    turn_holder_ = std::thread::id();
  }
  turn_.Unlock();
  // Run begins with what is posted.
  if (is_running && HasPosted()) Wake();
}

void AsioLoop::RunPosted() {
  for (int i = 0; i < kPostedPerTurn && !io_context_.stopped(); ++i) {
    std::function<void()> function;
    {
      const absl::MutexLock lock(&posted_mutex_);
      if (posted_.empty()) return;
      function = std::move(posted_.front());
      posted_.pop_front();
    }
    function();
  }
}

bool AsioLoop::HasPosted() {
  const absl::MutexLock lock(&posted_mutex_);
  return !posted_.empty();
}

// ---- time ---------------------------------------------------------------------------------------

Loop::TimerId AsioLoop::CallAfter(absl::Duration delay, std::function<void()> function) {
  const TimerId id = next_timer_++;
  const Clock::time_point due =
      Clock::now() + absl::ToChronoNanoseconds(std::clamp(delay, absl::ZeroDuration(), kForever));
  timers_.emplace(id, Timer{due, std::move(function)});
  due_.emplace(due, id);
  Arm();
  return id;
}

void AsioLoop::Arm() {
  if (due_.empty() || due_.begin()->first >= armed_) return;
  armed_ = due_.begin()->first;
  alarm_.expires_at(armed_);  // calls back what was armed before, with an error
  alarm_.async_wait([this](const asio::error_code& error) {
    if (!error) OnAlarm();
  });
}

void AsioLoop::OnAlarm() {
  const Clock::time_point now = Clock::now();
  bool is_due = true;
  while (is_due) {
    RunInTurn([&] {
      is_due = !io_context_.stopped() && !due_.empty() && due_.begin()->first <= now;
      if (is_due) return RunFirstTimer();
      armed_ = Clock::time_point::max();
      Arm();
    });
  }
}

void AsioLoop::RunFirstTimer() {
  const auto timer = timers_.extract(due_.begin()->second);
  due_.erase(due_.begin());
  timer.mapped().function();
}

void AsioLoop::Cancel(TimerId id) {
  const auto timer = timers_.extract(id);
  if (!timer.empty()) due_.erase({timer.mapped().due, id});
}

absl::Time AsioLoop::Now() const {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

bool AsioLoop::IsCurrent() const { return turn_holder_.load() == std::this_thread::get_id(); }

}  // namespace cloister::sandbox
