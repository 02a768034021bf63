#include "sandbox/host/mailbox_connection.h"

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sandbox/base/syscall_status.h"
#include "sandbox/wire/passed_descriptors.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kPieceBytes = size_t{64} << 10;

// What one connection may take of the loop's turn; others wait meanwhile.
constexpr size_t kTurnBytes = size_t{1} << 20;

absl::Status ClosedError() { return absl::OutOfRangeError("the connection is closed"); }

}  // namespace

void MailboxConnection::ReleaseFrame() { budget_.Give(std::exchange(held_bytes_, 0)); }

// ---- reading ------------------------------------------------------------------------------------

std::optional<MailboxConnection::FrameOrError> MailboxConnection::Poll() {
  if (decoder_.AtFrameStart()) ReleaseFrame();
  is_stalled_ = false;
  char piece[kPieceBytes];
  for (size_t turn = 0; turn < kTurnBytes;) {
    const size_t announced = decoder_.announced().value_or(0);
    if (held_bytes_ < announced) {
      if (!budget_.Take(announced)) {
        is_stalled_ = true;
        return std::nullopt;
      }
      held_bytes_ = announced;
    }
    const size_t wanted = std::min(decoder_.wanted(), sizeof(piece));
    const ssize_t got = ::recv(socket_.fd(), piece, wanted, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return std::nullopt;
    // No socket of ours has other errors than the peer's end; with any other nothing can be done
    // either.
    if (got <= 0) return ClosedError();
    std::string_view bytes(piece, static_cast<size_t>(got));
    turn += bytes.size();
    if (absl::Status status = decoder_.Consume(&bytes); !status.ok()) return status;
    if (std::optional<std::string> message = decoder_.TakeMessage()) return *std::move(message);
  }
  return std::nullopt;
}

void MailboxConnection::AwaitFrame(FrameFunction function) {
  on_frame_ = std::move(function);
  socket_.WaitReadable([this] { OnReadable(); });
}

void MailboxConnection::CancelAwait() {
  on_frame_ = nullptr;
  is_stalled_ = false;
  socket_.CancelReadable();
}

void MailboxConnection::Retry() {
  if (is_stalled_ && on_frame_ != nullptr) OnReadable();
}

void MailboxConnection::OnReadable() {
  std::optional<FrameOrError> frame = Poll();
  if (frame.has_value()) {
    const FrameFunction function = std::exchange(on_frame_, nullptr);
    return function(*std::move(frame));  // may destroy this
  }
  if (!is_stalled_) socket_.WaitReadable([this] { OnReadable(); });
}

void MailboxConnection::AwaitClose(std::function<void(Close)> function) {
  socket_.WaitReadable([this, function = std::move(function)]() mutable {
    char byte;
    const ssize_t got = ::recv(socket_.fd(), &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    const bool is_nothing = got < 0 && (errno == EAGAIN || errno == EINTR);
    if (is_nothing) return AwaitClose(std::move(function));
    // The kernel says ECONNRESET where something was left to read.
    function(got > 0 ? Close::kOutOfTurn : got == 0 ? Close::kInTurn : Close::kUnread);  // may destroy this
  });
}

// ---- sending ------------------------------------------------------------------------------------

void MailboxConnection::Send(std::string frame, std::vector<UniqueFd> descriptors,
                             std::function<void(absl::Status)> sent) {
  outgoing_ = std::move(frame);
  unsent_ = outgoing_;
  unsent_descriptors_ = std::move(descriptors);
  on_sent_ = std::move(sent);
  ContinueSend();
}

bool MailboxConnection::MakeRoomFor(size_t answer_bytes) {
  ReleaseFrame();
  if (answer_bytes <= kMaxLightBytes) return true;
  if (!budget_.Take(answer_bytes)) return false;
  held_bytes_ = answer_bytes;
  return true;
}

ssize_t MailboxConnection::Put() {
  constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
  if (unsent_descriptors_.empty())
    return ::send(socket_.fd(), unsent_.data(), unsent_.size(), kFlags);
  int numbers[kMaxFrameDescriptors];
  const size_t count = std::min(unsent_descriptors_.size(), kMaxFrameDescriptors);
  for (size_t i = 0; i < count; ++i) numbers[i] = unsent_descriptors_[i].get();
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(numbers))] = {};
  iovec bytes = {const_cast<char*>(unsent_.data()), unsent_.size()};
  msghdr header = {};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  AttachDescriptors({numbers, count}, control, &header);
  const ssize_t put = ::sendmsg(socket_.fd(), &header, kFlags);
  if (put > 0) unsent_descriptors_.clear();
  return put;
}

void MailboxConnection::ContinueSend() {
  for (size_t turn = 0; !unsent_.empty() && turn < kTurnBytes;) {
    const ssize_t put = Put();
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) break;
    if (put < 0) return EndSend(ClosedError());
    unsent_.remove_prefix(static_cast<size_t>(put));
    turn += static_cast<size_t>(put);
  }
  if (unsent_.empty()) return EndSend(absl::OkStatus());
  socket_.WaitWritable([this] { ContinueSend(); });
}

void MailboxConnection::EndSend(absl::Status status) {
  outgoing_ = std::string();
  unsent_ = std::string_view();
  const auto function = std::exchange(on_sent_, nullptr);
  function(std::move(status));  // may destroy this
}

}  // namespace cloister::sandbox
