#include "tests/support/fake_loop.h"

#include <algorithm>

namespace cloister::testing {

void FakeLoop::Run() { Advance(absl::ZeroDuration()); }

void FakeLoop::Advance(absl::Duration duration) {
  const absl::Time end = now_ + duration;
  while (RunOnePosted() || RunOneTimer(end)) {
  }
  now_ = end;
}

void FakeLoop::Post(std::function<void()> function) {
  absl::MutexLock lock(&mutex_);
  posted_.push_back(std::move(function));
}

FakeLoop::TimerId FakeLoop::CallAfter(absl::Duration delay, std::function<void()> function) {
  const TimerId id = ++last_id_;
  const absl::Time due = now_ + std::max(delay, absl::ZeroDuration());
  due_[id] = due;
  timers_[{due, id}] = std::move(function);
  return id;
}

void FakeLoop::Cancel(TimerId id) {
  const auto due = due_.find(id);
  if (due == due_.end()) return;
  timers_.erase({due->second, id});
  due_.erase(due);
}

bool FakeLoop::RunOnePosted() {
  std::function<void()> function;
  {
    absl::MutexLock lock(&mutex_);
    if (posted_.empty()) return false;
    function = std::move(posted_.front());
    posted_.pop_front();
  }
  function();
  return true;
}

bool FakeLoop::RunOneTimer(absl::Time end) {
  if (timers_.empty() || timers_.begin()->first.first > end) return false;
  auto timer = timers_.extract(timers_.begin());
  now_ = timer.key().first;
  due_.erase(timer.key().second);
  timer.mapped()();
  return true;
}

}  // namespace cloister::testing
