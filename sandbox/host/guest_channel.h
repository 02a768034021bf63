// The host's end of a sandbox's channel: sends one frame at a time, receives one frame at a time,
// never waits, believes nothing.
//
// Thread-safety: the loop's thread only.
// Ownership: owns the socket. After it is destroyed none of its functions runs.

#ifndef CLOISTER_SANDBOX_HOST_GUEST_CHANNEL_H_
#define CLOISTER_SANDBOX_HOST_GUEST_CHANNEL_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/host/asio_loop.h"
#include "sandbox/host/fd_watcher.h"
#include "sandbox/wire/frame.h"

namespace cloister::sandbox {

class GuestChannel {
 public:
  // A frame, or OUT_OF_RANGE (the guest's end is closed), or DATA_LOSS (it broke the protocol).
  using FrameOrError = absl::StatusOr<internal::v1::GuestFrame>;
  using FrameFunction = std::function<void(FrameOrError)>;
  using SentFunction = std::function<void(absl::Status)>;

  // No guest code has run before the program, so what comes till then is short.
  static constexpr size_t kMaxIdleFrameBytes = size_t{64} << 10;

  GuestChannel(AsioLoop* loop, UniqueFd socket) : socket_(loop, std::move(socket)) {}

  // As FdWatcher::Open.
  absl::Status Open() { return socket_.Open(); }

  // Accepts frames of so many bytes from here on.
  void AllowLongFrames(size_t max_bytes = kMaxGuestFrameBytes) {
    decoder_.set_max_bytes(max_bytes);
  }

  // Calls `function` once, never inline, with the next frame or error. Replaces an earlier wait.
  void AwaitFrame(FrameFunction function);
  void CancelAwait();

  // The next frame or error if it is there already.
  std::optional<FrameOrError> Poll();

  // What came beside the last frame: open_mailbox comes with one descriptor, all others with none.
  UniqueFd TakeDescriptor() { return std::move(descriptor_); }

  // Sends an encoded frame, as fast as the guest takes it; then calls `sent`, inline where it fits
  // into the socket at once. OUT_OF_RANGE where the guest's end is closed. One at a time. `descriptors` go
  // with the first byte.
  void Send(std::string frame, SentFunction sent, std::vector<UniqueFd> descriptors = {});

  // The guest reads the end of the channel behind what was sent; what it says is still received.
  void CloseSending();

 private:
  void OnReadable();
  void ContinueSend();
  void EndSend(absl::Status status);
  ssize_t Put();
  // As recv(2); a descriptor that comes is kept. EBADMSG: more of them than one frame has.
  ssize_t Get(char* piece, size_t wanted);
  FrameOrError Parse(const std::string& message);

  FdWatcher socket_;
  FrameDecoder decoder_{kMaxIdleFrameBytes};
  UniqueFd descriptor_;
  bool descriptor_missed_ = false;
  FrameFunction on_frame_;
  std::string outgoing_;
  std::string_view unsent_;
  std::vector<UniqueFd> unsent_descriptors_;
  SentFunction on_sent_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_GUEST_CHANNEL_H_
