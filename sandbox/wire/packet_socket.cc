#include "sandbox/wire/packet_socket.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/wire/passed_descriptors.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kControlBytes = CMSG_SPACE(sizeof(int) * kMaxPacketDescriptors);

// The status of a failed send or receive.
absl::Status TransferError(const char* what) {
  switch (errno) {
    case EAGAIN:
      return absl::UnavailableError(absl::StrCat(what, ": would have to wait"));
    case EPIPE:
    case ECONNRESET:
      return absl::OutOfRangeError(absl::StrCat(what, ": the other end is closed"));
    default:
      return SyscallError(what);
  }
}

}  // namespace

absl::StatusOr<PacketPair> MakePacketPair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return SyscallError("socketpair of a packet socket");
  }
  PacketPair pair{UniqueFd(ends[0]), UniqueFd(ends[1])};
  // A packet has to fit into the send buffer as a whole; the kernel doubles the figure for its own
  // bookkeeping.
  const int buffer_bytes = static_cast<int>(kMaxPacketBytes);
  for (int end : ends) {
    if (::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes)) != 0) {
      return SyscallError("size the buffer of a packet socket");
    }
  }
  return pair;
}

absl::Status SendPacket(int socket, const google::protobuf::MessageLite& message,
                        absl::Span<const int> descriptors, int flags) {
  std::string bytes;
  if (!message.SerializeToString(&bytes) || bytes.empty() || bytes.size() > kMaxPacketBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a packet holds 1 to ", kMaxPacketBytes,
                                                   " bytes, this ", message.GetTypeName(), " has ",
                                                   message.ByteSizeLong()));
  }
  if (descriptors.size() > kMaxPacketDescriptors) {
    return absl::InvalidArgumentError(absl::StrCat("a packet carries at most ",
                                                   kMaxPacketDescriptors, " descriptors, not ",
                                                   descriptors.size()));
  }
  iovec data{bytes.data(), bytes.size()};
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char control[kControlBytes] = {};
  if (!descriptors.empty()) AttachDescriptors(descriptors, control, &header);
  ssize_t sent;
  do {
    sent = ::sendmsg(socket, &header, flags | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent < 0 ? TransferError("send a packet") : absl::OkStatus();
}

absl::Status ReceivePacket(int socket, google::protobuf::MessageLite* message,
                           std::vector<UniqueFd>* descriptors, int flags) {
  message->Clear();
  if (descriptors != nullptr) descriptors->clear();
  // On the stack: only the pages that a packet fills are ever touched.
  char bytes[kMaxPacketBytes];
  iovec data{bytes, sizeof(bytes)};
  alignas(cmsghdr) char control[kControlBytes];
  msghdr header{};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  ssize_t received;
  do {
    received = ::recvmsg(socket, &header, flags | MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return TransferError("receive a packet");

  std::vector<UniqueFd> taken = TakeDescriptors(&header);
  if (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
    return absl::DataLossError("received a packet longer, or with more descriptors, than allowed");
  }
  if (received == 0) return absl::OutOfRangeError("receive a packet: the other end is closed");
  if (!message->ParseFromArray(bytes, static_cast<int>(received))) {
    return absl::DataLossError(
        absl::StrCat("received a packet that is no ", message->GetTypeName()));
  }
  if (descriptors != nullptr) *descriptors = std::move(taken);
  return absl::OkStatus();
}

}  // namespace cloister::sandbox
