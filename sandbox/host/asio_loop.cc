#include "sandbox/host/asio_loop.h"

#include <algorithm>
#include <asio/post.hpp>
#include <chrono>
#include <utility>

namespace cloister::sandbox {

// One thread runs the context; the hint spares its locks where they would be for others.
AsioLoop::AsioLoop() : io_context_(1), work_guard_(io_context_.get_executor()) {}

AsioLoop::~AsioLoop() = default;

void AsioLoop::Run() {
  thread_ = std::this_thread::get_id();
  io_context_.restart();
  io_context_.run();
  thread_ = std::thread::id();
}

void AsioLoop::Stop() { io_context_.stop(); }

void AsioLoop::Post(std::function<void()> function) {
  asio::post(io_context_, std::move(function));
}

Loop::TimerId AsioLoop::CallAfter(absl::Duration delay, std::function<void()> function) {
  const TimerId id = next_timer_++;
  auto [entry, inserted] =
      timers_.try_emplace(id, Timer{asio::steady_timer(io_context_), std::move(function)});
  asio::steady_timer& timer = entry->second.timer;
  timer.expires_after(absl::ToChronoNanoseconds(std::max(delay, absl::ZeroDuration())));
  timer.async_wait([this, id](const asio::error_code& error) {
    if (!error) RunTimer(id);
  });
  return id;
}

void AsioLoop::RunTimer(TimerId id) {
  // Cancelled after it expired and before its turn came: no longer in the map.
  auto node = timers_.extract(id);
  if (!node.empty()) node.mapped().function();
}

void AsioLoop::Cancel(TimerId id) { timers_.erase(id); }

absl::Time AsioLoop::Now() const {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

bool AsioLoop::IsCurrent() const { return thread_.load() == std::this_thread::get_id(); }

}  // namespace cloister::sandbox
