#include "sandbox/spawner/poller.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <utility>

#include "sandbox/base/syscall_status.h"

namespace cloister::sandbox {

absl::StatusOr<Poller> Poller::Create() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return SyscallError("epoll_create1");
  return Poller(std::move(epoll));
}

Poller::Token Poller::Watch(int fd, uint32_t events, Callback callback) {
  const Token token = next_token_++;
  epoll_event event = {};
  event.events = events;
  event.data.u64 = token;
  // Fails only where the kernel has no memory left or the caller broke the contract; the descriptor
  // then never fires, and its peer's end is noticed through its parent's.
  (void)epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  watched_.emplace(token, Watched{fd, std::move(callback)});
  return token;
}

void Poller::Change(Token token, uint32_t events) {
  const auto found = watched_.find(token);
  if (found == watched_.end()) return;
  epoll_event event = {};
  event.events = events;
  event.data.u64 = token;
  (void)epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, found->second.fd, &event);
}

void Poller::Forget(Token token) {
  const auto found = watched_.find(token);
  if (found == watched_.end()) return;
  (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.fd, nullptr);
  watched_.erase(found);
}

absl::Status Poller::RunOnce() {
  std::array<epoll_event, 64> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
  if (count < 0) return errno == EINTR ? absl::OkStatus() : SyscallError("epoll_wait");
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    const Token token = event.data.u64;  // which lies unaligned there
    const auto found = watched_.find(token);
    if (found == watched_.end()) continue;
    // A copy: the callback may forget itself.
    const Callback callback = found->second.callback;
    callback(event.events);
  }
  return absl::OkStatus();
}

}  // namespace cloister::sandbox
