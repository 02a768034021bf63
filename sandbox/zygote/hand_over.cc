#include "sandbox/zygote/hand_over.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/wire/passed_descriptors.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kControlBytes = CMSG_SPACE(sizeof(int) * HandOver::kMaxHanded);

// A received message, in memory of the receiver. What the kernel writes comes last.
struct ScratchMessage {
  iovec data = {};
  msghdr header = {};
  uint64_t number = 0;
  alignas(cmsghdr) char control[kControlBytes] = {};
};
static_assert(sizeof(ScratchMessage) < 4096);

void* PointerTo(uint64_t address) { return reinterpret_cast<void*>(address); }

ScratchMessage MessageAt(uint64_t scratch) {
  ScratchMessage message;
  message.data = {PointerTo(scratch + offsetof(ScratchMessage, number)), sizeof(message.number)};
  message.header.msg_iov =
      static_cast<iovec*>(PointerTo(scratch + offsetof(ScratchMessage, data)));
  message.header.msg_iovlen = 1;
  message.header.msg_control = PointerTo(scratch + offsetof(ScratchMessage, control));
  message.header.msg_controllen = sizeof(message.control);
  return message;
}

}  // namespace

absl::StatusOr<UniqueFd> MoveDescriptor(UniqueFd fd, int descriptor) {
  UniqueFd moved(fcntl(fd.get(), F_DUPFD_CLOEXEC, descriptor));
  if (moved.get() != descriptor) {
    return absl::InternalError(absl::StrCat("descriptor ", descriptor, " of the zygote is taken"));
  }
  return moved;
}

absl::StatusOr<HandOver> HandOver::Make() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return SyscallError("socketpair");
  }
  HandOver made;
  made.ours_.reset(ends[0]);
  CLOISTER_ASSIGN_OR_RETURN(made.theirs_, MoveDescriptor(UniqueFd(ends[1]), kDescriptor));
  return made;
}

void HandOver::Drain() const {
  // Descriptors that nobody has room for are closed by the kernel.
  char byte;
  while (recv(theirs_.get(), &byte, 1, MSG_DONTWAIT) >= 0) {
  }
}

absl::Status HandOver::Send(absl::Span<const int> descriptors) const {
  uint64_t number = number_;
  iovec data = {&number, sizeof(number)};
  alignas(cmsghdr) char control[kControlBytes] = {};
  msghdr header = {};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  AttachDescriptors(descriptors, control, &header);
  return sendmsg(ours_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(number)
             ? absl::OkStatus()
             : SyscallError("hand descriptors to a copy");
}

absl::Status HandOver::Give(const TracedProcess& copy, uint64_t scratch,
                            absl::Span<const int> descriptors) {
  Drain();
  ++number_;
  CLOISTER_RETURN_IF_ERROR(Send(descriptors));
  const ScratchMessage message = MessageAt(scratch);
  const std::string_view bytes(reinterpret_cast<const char*>(&message), sizeof(message));
  CLOISTER_RETURN_IF_ERROR(copy.Write(scratch, bytes));
  CLOISTER_RETURN_IF_ERROR(
      copy.Call("recvmsg", SYS_recvmsg,
                {kDescriptor, scratch + offsetof(ScratchMessage, header), MSG_DONTWAIT},
                {{scratch, bytes}})
          .status());
  CLOISTER_ASSIGN_OR_RETURN(const std::string received, copy.Read(scratch, sizeof(message)));
  ScratchMessage arrived;
  std::memcpy(static_cast<void*>(&arrived), received.data(), sizeof(arrived));
  const bool is_whole = (arrived.header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
  return is_whole && arrived.number == number_
             ? absl::OkStatus()
             : absl::AbortedError("other descriptors arrived than were handed over");
}

}  // namespace cloister::sandbox
