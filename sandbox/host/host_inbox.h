// The host's end of an interpreter's inbox: sends messages, as fast as their reader takes them, and keeps what
// has to wait (wire/inbox_packet.h).
//
// The sending end is shared with other interpreters of the sandbox: they may fill it, and set flags of it that all
// see; so nothing here relies on either.
//
// Thread-safety: the loop's thread only.
// Ownership: of the sending end, and of a copy of the receiving one until the interpreter has it. Memory: kMaxInboxBytes of messages, or one.

#ifndef CLOISTER_SANDBOX_HOST_HOST_INBOX_H_
#define CLOISTER_SANDBOX_HOST_HOST_INBOX_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/host/asio_loop.h"
#include "sandbox/host/fd_watcher.h"

namespace cloister::sandbox {

class HostInbox {
 public:
  // `on_room` is told what Mailbox::OnInboxRoom says; never inline from a call here.
  HostInbox(AsioLoop* loop, std::function<void()> on_room)
      : loop_(loop), on_room_(std::move(on_room)) {}
  HostInbox(const HostInbox&) = delete;
  HostInbox& operator=(const HostInbox&) = delete;

  // As Mailbox.
  bool HasRoomFor(size_t bytes);
  absl::Status Post(std::string clone, std::shared_ptr<void> held);
  absl::StatusOr<UniqueFd> OpenSender();

  // The receiving end, for the interpreter: again and again until it is known to have it. FAILED_PRECONDITION then.
  absl::StatusOr<UniqueFd> OpenReceiver();
  void OnReceiverTaken();

  // Whoever sends learns that nobody reads.
  void Close();

 private:
  struct Message {
    std::string clone;
    std::shared_ptr<void> held;
  };

  // UNAVAILABLE once closed; otherwise what kept the pair from being made.
  absl::Status MakeSure();
  void Send();
  // One packet of the first message; 0, or the error number.
  int SendPacket();

  AsioLoop* const loop_;
  const std::function<void()> on_room_;
  std::optional<FdWatcher> sender_;
  UniqueFd receiver_;
  bool is_closed_ = false;
  std::deque<Message> queue_;
  size_t queued_bytes_ = 0;
  size_t sent_bytes_ = 0;    // of the first one
  size_t wanted_bytes_ = 0;  // room that was not found; 0 for none
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_HOST_INBOX_H_
