#include "sandbox/host/host_inbox.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/host/close_beside.h"
#include "sandbox/mailbox.h"
#include "sandbox/wire/inbox_packet.h"

namespace cloister::sandbox {
namespace {

// What one inbox may take of the loop's turn; others wait meanwhile.
constexpr size_t kTurnBytes = size_t{1} << 20;

absl::Status ClosedError() { return absl::UnavailableError("its inbox is closed"); }

}  // namespace

absl::Status HostInbox::MakeSure() {
  if (is_closed_) return ClosedError();
  if (sender_.has_value()) return absl::OkStatus();
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return SyscallError("socketpair of an inbox");
  }
  receiver_.reset(ends[0]);
  // One way only: the reader has nothing to say to others through it, and who shuts it down from their side ends it.
  (void)::shutdown(ends[1], SHUT_RD);
  sender_.emplace(loop_, UniqueFd(ends[1]));
  const absl::Status opened = sender_->Open();
  if (!opened.ok()) {
    sender_.reset();
    receiver_.reset();
  }
  return opened;
}

bool HostInbox::HasRoomFor(size_t bytes) {
  if (queue_.empty() || queued_bytes_ + bytes + Mailbox::kMessageOverheadBytes <= Mailbox::kMaxInboxBytes) return true;
  wanted_bytes_ = wanted_bytes_ == 0 ? bytes : std::min(wanted_bytes_, bytes);
  return false;
}

absl::Status HostInbox::Post(std::string clone, std::shared_ptr<void> held) {
  CLOISTER_RETURN_IF_ERROR(MakeSure());
  queued_bytes_ += clone.size() + Mailbox::kMessageOverheadBytes;
  queue_.push_back({std::move(clone), std::move(held)});
  // Where others wait before it, somebody waits for the socket.
  if (queue_.size() == 1) Send();
  return is_closed_ ? ClosedError() : absl::OkStatus();
}

int HostInbox::SendPacket() {
  const std::string& clone = queue_.front().clone;
  const size_t piece = std::min(clone.size() - sent_bytes_, kMaxInlineBytes);
  const bool is_last = sent_bytes_ + piece == clone.size();
  InboxPacketHeader packet;
  packet.flags = InboxPacketHeader::kFromHost;
  if (!is_last) packet.flags |= InboxPacketHeader::kMore;
  packet.clone_bytes = clone.size();
  iovec parts[2] = {{&packet, sizeof(packet)},
                    {const_cast<char*>(clone.data()) + sent_bytes_, piece}};
  msghdr header = {};
  header.msg_iov = parts;
  header.msg_iovlen = 2;
  if (::sendmsg(sender_->fd(), &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return errno;
  sent_bytes_ += piece;
  if (!is_last) return 0;
  queued_bytes_ -= clone.size() + Mailbox::kMessageOverheadBytes;
  sent_bytes_ = 0;
  queue_.pop_front();
  return 0;
}

void HostInbox::Send() {
  for (size_t turn = 0; !queue_.empty() && turn < kTurnBytes; turn += kMaxInlineBytes) {
    const int error = SendPacket();
    if (error == EINTR) continue;
    if (error == EAGAIN || error == ENOBUFS || error == ENOMEM) break;
    // Its reader is gone; whatever else there may be helps nobody.
    if (error != 0) Close();
  }
  if (!queue_.empty()) {
    sender_->WaitWritable([this] { Send(); });
  }
  if (wanted_bytes_ == 0 || !HasRoomFor(wanted_bytes_)) return;
  wanted_bytes_ = 0;
  on_room_();  // may destroy this
}

absl::StatusOr<UniqueFd> HostInbox::OpenSender() {
  CLOISTER_RETURN_IF_ERROR(MakeSure());
  UniqueFd copy(::fcntl(sender_->fd(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return SyscallError("duplicate an inbox");
  return copy;
}

absl::StatusOr<UniqueFd> HostInbox::OpenReceiver() {
  CLOISTER_RETURN_IF_ERROR(MakeSure());
  if (!receiver_) return absl::FailedPreconditionError("the inbox was opened before");
  UniqueFd copy(::fcntl(receiver_.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return SyscallError("duplicate an inbox");
  return copy;
}

void HostInbox::OnReceiverTaken() {
  if (!receiver_) return;
  // It may be the last one, and others in the sandbox may have sent into it whatever they like.
  std::vector<UniqueFd> closed;
  closed.push_back(std::move(receiver_));
  CloseBeside(std::move(closed));
}

void HostInbox::Close() {
  is_closed_ = true;
  sender_.reset();
  OnReceiverTaken();
  queue_.clear();
  queued_bytes_ = 0;
}

}  // namespace cloister::sandbox
