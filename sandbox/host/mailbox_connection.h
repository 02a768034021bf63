// The host's end of one connection of a mailbox: reads frames of the guest's, one at a time, sends at most one, never
// waits, believes nothing.
//
// The host made the socket and gave the guest the other end only, so that reading never waits (host_mailbox.h).
//
// Thread-safety: the loop's thread only.
// Ownership: of the socket. May be destroyed at any time, from inside its functions too; then none of them runs.

#ifndef CLOISTER_SANDBOX_HOST_MAILBOX_CONNECTION_H_
#define CLOISTER_SANDBOX_HOST_MAILBOX_CONNECTION_H_

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/host/asio_loop.h"
#include "sandbox/host/fd_watcher.h"
#include "sandbox/host/mailbox_budget.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {

class MailboxConnection {
 public:
  // The longest frame each way: a message, and a little.
  static constexpr size_t kMaxFrameBytes = (size_t{16} << 20) + (size_t{64} << 10);
  // What an answer may have that nothing is held for: the socket takes it at once.
  static constexpr size_t kMaxLightBytes = size_t{64} << 10;

  // One frame's bytes, or OUT_OF_RANGE (the guest's end is closed), or DATA_LOSS (it broke the protocol).
  using FrameOrError = absl::StatusOr<std::string>;
  using FrameFunction = std::function<void(FrameOrError)>;

  MailboxConnection(AsioLoop* loop, UniqueFd socket, MailboxBudget* budget)
      : socket_(loop, std::move(socket)), budget_(*budget) {}
  MailboxConnection(const MailboxConnection&) = delete;
  MailboxConnection& operator=(const MailboxConnection&) = delete;
  ~MailboxConnection() { ReleaseFrame(); }

  // As FdWatcher::Open.
  absl::Status Open() { return socket_.Open(); }

  // Calls `function` once, never inline, when the guest has said something or closed its end.
  void AwaitUse(std::function<void()> function) { socket_.WaitReadable(std::move(function)); }

  // The next frame or error if it is there already. What is held for the frame before is given back.
  std::optional<FrameOrError> Poll();
  // Calls `function` once, never inline, with the next frame or error.
  void AwaitFrame(FrameFunction function);
  void CancelAwait();
  // Whether a frame waits for room in the budget; then AwaitFrame goes on with Retry, inline.
  bool is_stalled() const { return is_stalled_; }
  void Retry();

  enum class Close {
    kInTurn,     // having read all that was sent
    kUnread,     // without that
    kOutOfTurn,  // not at all: the guest says something
  };
  // Calls `function` once, never inline, when the guest closes its end.
  void AwaitClose(std::function<void(Close how)> function);

  // Gives back what the request held. False where there is no room for an answer of so many bytes.
  bool MakeRoomFor(size_t answer_bytes);

  // Sends an encoded frame that there is room for, as fast as the guest takes it; `sent` follows, inline where that is at
  // once. Once. `descriptors`, kMaxFrameDescriptors at most, go with the first byte. OUT_OF_RANGE: the guest has closed its end.
  void Send(std::string frame, std::vector<UniqueFd> descriptors, std::function<void(absl::Status)> sent);

 private:
  void OnReadable();
  void ContinueSend();
  void EndSend(absl::Status status);
  ssize_t Put();
  void ReleaseFrame();

  FdWatcher socket_;
  MailboxBudget& budget_;
  FrameDecoder decoder_{kMaxFrameBytes};
  FrameFunction on_frame_;
  bool is_stalled_ = false;
  size_t held_bytes_ = 0;
  std::string outgoing_;
  std::string_view unsent_;
  std::vector<UniqueFd> unsent_descriptors_;
  std::function<void(absl::Status)> on_sent_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_MAILBOX_CONNECTION_H_
