// Notices a client that keeps a stream waiting: one that sends nothing more, or takes nothing.
//
// Thread-safety: loop thread only, but for the construction. Ownership: the loop outlives it.

#ifndef CLOISTER_SERVICE_RPC_IDLE_WATCH_H_
#define CLOISTER_SERVICE_RPC_IDLE_WATCH_H_

#include <functional>
#include <utility>

#include "absl/time/time.h"
#include "sandbox/base/loop.h"

namespace cloister::rpc {

class IdleWatch {
 public:
  // `on_idle` is called where the client was waited for, without a break, for as long as `limit`.
  IdleWatch(sandbox::Loop* loop, absl::Duration limit, std::function<void()> on_idle)
      : loop_(loop), limit_(limit), on_idle_(std::move(on_idle)) {}
  IdleWatch(const IdleWatch&) = delete;
  IdleWatch& operator=(const IdleWatch&) = delete;
  ~IdleWatch() { Stop(); }

  absl::Duration limit() const { return limit_; }

  // From here on it is the client's turn.
  void Await() {
    since_ = loop_->Now();
    if (timer_ == 0) SetTimer(limit_);
  }
  // It took its turn. Moves no timer: the one that is set looks again.
  void Came() { since_ = absl::InfiniteFuture(); }
  // Nobody is waited for any more.
  void Stop() {
    Came();
    if (timer_ != 0) loop_->Cancel(std::exchange(timer_, 0));
  }

 private:
  void SetTimer(absl::Duration delay) {
    timer_ = loop_->CallAfter(delay, [this] { OnTimer(); });
  }
  void OnTimer() {
    timer_ = 0;
    if (since_ == absl::InfiniteFuture()) return;
    const absl::Duration idle = loop_->Now() - since_;
    if (idle < limit_) return SetTimer(limit_ - idle);
    Came();
    on_idle_();  // may destroy this
  }

  sandbox::Loop* const loop_;
  const absl::Duration limit_;
  const std::function<void()> on_idle_;
  absl::Time since_ = absl::InfiniteFuture();
  sandbox::Loop::TimerId timer_ = 0;
};

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_IDLE_WATCH_H_
