// The one writer of a live sandbox's channel.
//
// Displays come from any thread of the user's, and a signal may end the waiting of one of them in
// the middle of a frame. What is left of that frame then goes out before the next, so that the host
// always sees whole frames.

#ifndef CLOISTER_SANDBOX_GUEST_FRAME_SENDER_H_
#define CLOISTER_SANDBOX_GUEST_FRAME_SENDER_H_

#include <sys/types.h>

#include <cstddef>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// Thread-safety: any thread, with the GIL, which is released while it waits. Ownership: borrows the
// socket.
class FrameSender {
 public:
  // Made by the process that may send. A fork of the user's inherits the object but sends nothing.
  explicit FrameSender(int socket);
  FrameSender(const FrameSender&) = delete;
  FrameSender& operator=(const FrameSender&) = delete;

  bool IsOwner() const;
  int socket() const { return socket_; }

  enum class OnSignal {
    kRunHandlers,  // in the main thread; one that raises ends the waiting
    kGoOn,
  };

  // Sends one frame, waiting as long as it takes; does nothing where this is not the owner.
  // CANCELLED, with a Python exception set, where a signal handler raised; else as WriteFrame.
  absl::Status Send(const internal::v1::GuestFrame& frame, OnSignal on_signal) {
    return Send(frame, on_signal, UniqueFd());
  }
  // The same, with a descriptor beside the frame's first byte.
  absl::Status Send(const internal::v1::GuestFrame& frame, OnSignal on_signal, UniqueFd descriptor);

  // Sends what is left of a frame whose sending was ended, without running signal handlers.
  absl::Status FlushPending();

 private:
  // Sends what is pending. False where a signal came first. With mutex_.
  bool Flush(absl::Status* status);
  ssize_t SendSome();

  const int socket_;
  const pid_t owner_;
  // Of the standard library, whose locks the analysis does not know: absl's would bring its own
  // part of the library into every clone. Guards the rest.
  std::mutex mutex_;
  std::string pending_;
  UniqueFd descriptor_;  // that goes with the first byte of pending_
  size_t sent_ = 0;      // of pending_
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_FRAME_SENDER_H_
