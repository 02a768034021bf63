// The spawner's event loop: one epoll set, one thread, one callback per descriptor.

#ifndef CLOISTER_SANDBOX_SPAWNER_POLLER_H_
#define CLOISTER_SANDBOX_SPAWNER_POLLER_H_

#include <cstdint>
#include <functional>
#include <unordered_map>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// Thread-safety: none.
class Poller {
 public:
  // Told what poll(2) would say of the descriptor (EPOLLIN, EPOLLOUT, EPOLLHUP ...).
  using Callback = std::function<void(uint32_t events)>;
  // Names one watched descriptor; never used again, so that an event which was already fetched when
  // its descriptor was forgotten reaches nobody.
  using Token = uint64_t;

  static absl::StatusOr<Poller> Create();

  // Watches `fd`, which stays the caller's, until Forget.
  Token Watch(int fd, uint32_t events, Callback callback);
  void Change(Token token, uint32_t events);
  // Call before the descriptor is closed. An unknown token is ignored.
  void Forget(Token token);

  // Waits for events and runs their callbacks, which may watch and forget as they like.
  absl::Status RunOnce();

 private:
  struct Watched {
    int fd;
    Callback callback;
  };

  explicit Poller(UniqueFd epoll) : epoll_(std::move(epoll)) {}

  UniqueFd epoll_;
  Token next_token_ = 1;
  std::unordered_map<Token, Watched> watched_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_SPAWNER_POLLER_H_
