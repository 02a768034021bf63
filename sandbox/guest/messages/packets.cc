#include "sandbox/guest/messages/packets.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "sandbox/guest/messages/message_errors.h"
#include "sandbox/guest/write_all.h"
#include "sandbox/wire/passed_descriptors.h"

namespace cloister::sandbox {
namespace {

// What a receiver asks of memory that it reads while the sender still has it.
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
constexpr size_t kMaxMessageBytes = CloneLimits().bytes + kCloneHeaderBytes;
constexpr size_t kControlBytes = CMSG_SPACE(sizeof(int) * kMaxInboxDescriptors);

// Whether the end of a socket on which an empty packet came is the end of all packets.
bool IsAtEnd(int socket) {
  pollfd polled = {socket, POLLIN | POLLRDHUP, 0};
  int waiting = 0;
  return poll(&polled, 1, 0) > 0 && (polled.revents & (POLLHUP | POLLRDHUP)) != 0 &&
         ioctl(socket, FIONREAD, &waiting) == 0 && waiting == 0;
}

}  // namespace

// ---- out ----------------------------------------------------------------------------------------

bool OutgoingMessage::Encode(PyObject* value, PyObject* transfer) {
  if (transfer != nullptr && !handles_.HandOver(transfer)) return false;
  if (!EncodeClone(value, CloneLimits(), &handles_, &clone_)) return false;
  if (handles_.count() > 0) descriptors_ = handles_.descriptors();
  return clone_.size() <= kMaxInlineBytes || MoveToMemory();
}

bool OutgoingMessage::MoveToMemory() {
  bool is_done;
  Py_BEGIN_ALLOW_THREADS;
  memory_ = UniqueFd(memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  is_done = memory_ && WriteAll(memory_.get(), clone_.view()) &&
            fcntl(memory_.get(), F_ADD_SEALS, kSeals | F_SEAL_SEAL) == 0;
  Py_END_ALLOW_THREADS;
  if (!is_done) return RaiseErrno();
  descriptors_.push_back(memory_.get());
  return true;
}

OutgoingMessage::Result OutgoingMessage::Send(int socket) {
  InboxPacketHeader packet;
  packet.clone_bytes = clone_.size();
  // What lies in memory is sent in part as well, and not read: the kernel counts what waits in a
  // socket by what is in its packets, so that few long messages wait in one.
  iovec data[] = {{&packet, sizeof(packet)},
                  {clone_.data(), std::min(clone_.size(), kMaxInlineBytes)}};
  msghdr message = {};
  message.msg_iov = data;
  message.msg_iovlen = 2;
  packet.flags = memory_ ? InboxPacketHeader::kInMemory : 0;
  packet.descriptor_count = static_cast<uint16_t>(descriptors_.size());
  alignas(cmsghdr) char control[kControlBytes];
  if (!descriptors_.empty()) {
    memset(control, 0, sizeof(control));
    AttachDescriptors(descriptors_, control, &message);
  }
  if (sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return Result::kSent;
  if (errno == EAGAIN) return Result::kFull;
  if (IsClosedError(errno)) return Result::kClosed;
  RaiseErrno();
  return Result::kFailed;
}

// ---- in -----------------------------------------------------------------------------------------

IncomingMessage::~IncomingMessage() {
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
}

IncomingMessage::Result IncomingMessage::Broken(const char* problem) {
  problem_ = problem;
  return Result::kBroken;
}

IncomingMessage::Result IncomingMessage::Read(int socket, MessageParts* parts) {
  InboxPacketHeader packet;
  iovec data[] = {{&packet, sizeof(packet)}, {buffer_, kMaxInlineBytes}};
  alignas(cmsghdr) char control[kControlBytes];
  msghdr message = {};
  message.msg_iov = data;
  message.msg_iovlen = 2;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t size = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0) {
    if (errno == EAGAIN) return Result::kNothing;
    // The sender's end had unread packets when it was closed: said once, before what waits here.
    if (errno == ECONNRESET) return Result::kPart;
    RaiseErrno();
    return Result::kFailed;
  }
  if (message.msg_controllen > 0) descriptors_ = TakeDescriptors(&message);
  if (size == 0 && descriptors_.empty() && IsAtEnd(socket)) return Result::kClosed;
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    return Broken("its descriptors do not fit into this process");
  }
  if (static_cast<size_t>(size) < sizeof(packet) || (message.msg_flags & MSG_TRUNC) != 0 ||
      packet.version != InboxPacketHeader::kVersion) {
    return Broken("it is no packet of a message");
  }
  if (packet.clone_bytes > kMaxMessageBytes) return Broken("it is larger than messages may be");
  if (packet.descriptor_count != descriptors_.size()) {
    return Broken("it has other descriptors than it says");
  }
  return Take(packet, static_cast<size_t>(size) - sizeof(packet), parts);
}

IncomingMessage::Result IncomingMessage::Take(const InboxPacketHeader& header, size_t payload,
                                              MessageParts* parts) {
  if ((header.flags & InboxPacketHeader::kInMemory) != 0) return TakeMemory(header);
  const bool is_from_host = (header.flags & InboxPacketHeader::kFromHost) != 0;
  const bool has_more = (header.flags & InboxPacketHeader::kMore) != 0;
  if (parts != nullptr && is_from_host && (has_more || parts->expected != 0)) {
    return TakePart(header, payload, parts);
  }
  if (has_more || payload != header.clone_bytes) return Broken("it is not whole");
  clone_ = {buffer_, payload};
  return Result::kWhole;
}

IncomingMessage::Result IncomingMessage::TakePart(const InboxPacketHeader& header, size_t payload,
                                                  MessageParts* parts) {
  const bool has_more = (header.flags & InboxPacketHeader::kMore) != 0;
  if (parts->expected == 0) parts->expected = header.clone_bytes;
  const size_t done = parts->bytes.size() + payload;
  if (header.clone_bytes != parts->expected || !descriptors_.empty() ||
      (has_more ? payload != kMaxInlineBytes : payload == 0) ||
      (has_more ? done >= parts->expected : done != parts->expected && !parts->is_dropped)) {
    *parts = MessageParts();
    return Broken("its parts do not belong together");
  }
  if (!parts->is_dropped && !parts->bytes.Reserve(payload)) {
    parts->bytes = CloneBytes();
    parts->is_dropped = true;
    if (!has_more) *parts = MessageParts();
    PyErr_NoMemory();
    return Result::kFailed;
  }
  if (!parts->is_dropped) parts->bytes.PutBytes(buffer_, payload);
  if (has_more) return Result::kPart;
  MessageParts finished = std::exchange(*parts, MessageParts());
  if (finished.is_dropped) return Result::kPart;
  whole_ = std::move(finished.bytes);
  clone_ = whole_.view();
  return Result::kWhole;
}

IncomingMessage::Result IncomingMessage::TakeMemory(const InboxPacketHeader& header) {
  if (descriptors_.empty()) return Broken("it lies in memory that did not come with it");
  const UniqueFd memory = std::move(descriptors_.back());
  descriptors_.pop_back();
  struct stat info;
  const int seals = fcntl(memory.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals || fstat(memory.get(), &info) != 0) {
    return Broken("it lies in memory that is not sealed");
  }
  if (info.st_size <= 0 || static_cast<uint64_t>(info.st_size) != header.clone_bytes) {
    return Broken("it lies in memory of another size");
  }
  mapping_bytes_ = static_cast<size_t>(info.st_size);
  void* mapping = mmap(nullptr, mapping_bytes_, PROT_READ, MAP_PRIVATE, memory.get(), 0);
  if (mapping == MAP_FAILED) return Broken("there is no memory for it");
  mapping_ = mapping;
  clone_ = {static_cast<const char*>(mapping), mapping_bytes_};
  return Result::kWhole;
}

PyRef IncomingMessage::Decode() {
  CloneHandles handles(std::move(descriptors_));
  return DecodeClone(clone_, CloneLimits(), &handles);
}

}  // namespace cloister::sandbox
