#include "sandbox/guest/frame_sender.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/guest/interrupts.h"
#include "sandbox/guest/python_object.h"
#include "sandbox/wire/frame.h"
#include "sandbox/wire/passed_descriptors.h"

namespace cloister::sandbox {

FrameSender::FrameSender(int socket) : socket_(socket), owner_(getpid()) {}

bool FrameSender::IsOwner() const { return getpid() == owner_; }

ssize_t FrameSender::SendSome() {
  iovec data = {pending_.data() + sent_, pending_.size() - sent_};
  msghdr header = {};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  const int descriptor = descriptor_.get();
  if (descriptor >= 0) AttachDescriptors({&descriptor, 1}, control, &header);
  const ssize_t sent = sendmsg(socket_, &header, MSG_NOSIGNAL);
  if (sent > 0) descriptor_.reset();
  return sent;
}

bool FrameSender::Flush(absl::Status* status) {
  while (sent_ < pending_.size()) {
    const ssize_t sent = SendSome();
    if (sent < 0) {
      if (errno == EINTR) return false;
      *status = SyscallError("write a frame");
      return true;
    }
    sent_ += static_cast<size_t>(sent);
  }
  pending_ = std::string();
  sent_ = 0;
  return true;
}

absl::Status FrameSender::FlushPending() {
  if (!IsOwner()) return absl::OkStatus();
  absl::Status status;
  bool is_done = false;
  Py_BEGIN_ALLOW_THREADS;
  const std::lock_guard<std::mutex> lock(mutex_);
  while (!is_done) is_done = Flush(&status);
  Py_END_ALLOW_THREADS;
  return status;
}

absl::Status FrameSender::Send(const internal::v1::GuestFrame& frame, OnSignal on_signal,
                               UniqueFd descriptor) {
  if (!IsOwner()) return absl::OkStatus();
  CLOISTER_ASSIGN_OR_RETURN(std::string encoded, EncodeFrame(frame, kMaxGuestFrameBytes));
  bool is_queued = false;
  for (;;) {
    absl::Status status;
    bool is_done = false;
    Py_BEGIN_ALLOW_THREADS;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      is_done = Flush(&status);
      if (is_done && status.ok() && !is_queued) {
        pending_ = std::move(encoded);
        descriptor_ = std::move(descriptor);
        is_queued = true;
        is_done = Flush(&status);
      }
    }
    Py_END_ALLOW_THREADS;
    if (is_done) return status;
    if (on_signal == OnSignal::kRunHandlers && CheckInterrupts() != 0) {
      return absl::CancelledError("a signal handler raised");
    }
  }
}

}  // namespace cloister::sandbox
