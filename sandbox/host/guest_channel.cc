#include "sandbox/host/guest_channel.h"

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sandbox/base/syscall_status.h"
#include "sandbox/host/guest_frame.h"
#include "sandbox/wire/passed_descriptors.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kPieceBytes = size_t{64} << 10;

// What one sandbox may take of the loop's turn; others wait meanwhile.
constexpr size_t kTurnBytes = size_t{1} << 20;

}  // namespace

void GuestChannel::AwaitFrame(FrameFunction function) {
  on_frame_ = std::move(function);
  socket_.WaitReadable([this] { OnReadable(); });
}

void GuestChannel::CancelAwait() {
  on_frame_ = nullptr;
  socket_.CancelReadable();
}

void GuestChannel::OnReadable() {
  std::optional<FrameOrError> frame = Poll();
  if (!frame.has_value()) {
    socket_.WaitReadable([this] { OnReadable(); });
    return;
  }
  auto function = std::exchange(on_frame_, nullptr);
  function(*std::move(frame));  // may destroy this
}

std::optional<GuestChannel::FrameOrError> GuestChannel::Poll() {
  char piece[kPieceBytes];
  for (size_t turn = 0; turn < kTurnBytes;) {
    // Never past the current frame: what follows an answer is nobody's business.
    const size_t wanted = std::min(decoder_.wanted(), sizeof(piece));
    const ssize_t got = Get(piece, wanted);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return std::nullopt;
      if (errno == EBADMSG) return absl::DataLossError("too many descriptors beside a frame");
      if (errno != ECONNRESET) return SyscallError("read the guest's channel");
    }
    if (got <= 0) return absl::OutOfRangeError("the guest's end of the channel is closed");
    std::string_view bytes(piece, static_cast<size_t>(got));
    turn += bytes.size();
    if (absl::Status status = decoder_.Consume(&bytes); !status.ok()) return status;
    if (std::optional<std::string> message = decoder_.TakeMessage()) {
      return Parse(*message);
    }
  }
  return std::nullopt;
}

ssize_t GuestChannel::Get(char* piece, size_t wanted) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  iovec bytes = {piece, wanted};
  msghdr header = {};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  const ssize_t got = ::recvmsg(socket_.fd(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got < 0 || (header.msg_controllen == 0 && (header.msg_flags & MSG_CTRUNC) == 0)) return got;
  std::vector<UniqueFd> came = TakeDescriptors(&header);
  const bool is_cut = (header.msg_flags & MSG_CTRUNC) != 0;
  if (is_cut && came.empty()) {
    // For want of a descriptor of ours, which is no fault of the guest's.
    descriptor_missed_ = true;
    return got;
  }
  if (is_cut || came.size() > 1 || (descriptor_ && !came.empty())) {
    errno = EBADMSG;
    return -1;
  }
  if (!came.empty()) descriptor_ = std::move(came.front());
  return got;
}

GuestChannel::FrameOrError GuestChannel::Parse(const std::string& message) {
  FrameOrError frame = ParseGuestFrame(message);
  if (frame.ok() && frame->has_open_mailbox() != (static_cast<bool>(descriptor_) || descriptor_missed_)) {
    return absl::DataLossError(descriptor_ ? "a descriptor that was not asked for"
                                           : "a mailbox without its descriptor");
  }
  return frame;
}

void GuestChannel::Send(std::string frame, SentFunction sent, std::vector<UniqueFd> descriptors) {
  unsent_descriptors_ = std::move(descriptors);
  outgoing_ = std::move(frame);
  unsent_ = outgoing_;
  on_sent_ = std::move(sent);
  ContinueSend();
}

void GuestChannel::CloseSending() { (void)::shutdown(socket_.fd(), SHUT_WR); }

ssize_t GuestChannel::Put() {
  constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
  if (unsent_descriptors_.empty()) {
    return ::send(socket_.fd(), unsent_.data(), unsent_.size(), kFlags);
  }
  std::vector<int> numbers;
  for (const UniqueFd& fd : unsent_descriptors_) numbers.push_back(fd.get());
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFrameDescriptors)] = {};
  iovec bytes = {const_cast<char*>(unsent_.data()), unsent_.size()};
  msghdr header = {};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  AttachDescriptors(absl::MakeConstSpan(numbers).first(std::min(numbers.size(), kMaxFrameDescriptors)),
                    control, &header);
  const ssize_t put = ::sendmsg(socket_.fd(), &header, kFlags);
  if (put > 0) unsent_descriptors_.clear();
  return put;
}

void GuestChannel::ContinueSend() {
  for (size_t turn = 0; !unsent_.empty() && turn < kTurnBytes;) {
    const ssize_t put = Put();
    if (put < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      if (errno == EPIPE || errno == ECONNRESET) {
        return EndSend(absl::OutOfRangeError("the guest's end of the channel is closed"));
      }
      return EndSend(SyscallError("write to the guest's channel"));
    }
    unsent_.remove_prefix(static_cast<size_t>(put));
    turn += static_cast<size_t>(put);
  }
  if (unsent_.empty()) return EndSend(absl::OkStatus());
  socket_.WaitWritable([this] { ContinueSend(); });
}

void GuestChannel::EndSend(absl::Status status) {
  outgoing_ = std::string();
  unsent_ = std::string_view();
  auto function = std::exchange(on_sent_, nullptr);
  function(std::move(status));  // may destroy this
}

}  // namespace cloister::sandbox
