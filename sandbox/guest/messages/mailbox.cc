#include "sandbox/guest/messages/mailbox.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <utility>

#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/guest/interpreter_local.h"
#include "sandbox/guest/messages/message_errors.h"
#include "sandbox/wire/passed_descriptors.h"

namespace cloister::sandbox {
namespace {

const InterpreterLocal<Mailbox> mailbox;

bool MakePair(int type, UniqueFd* ours, UniqueFd* theirs) {
  int pair[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) != 0) return RaiseErrno();
  ours->reset(pair[0]);
  theirs->reset(pair[1]);
  return true;
}

ssize_t SendDescriptor(int socket, int descriptor) {
  char byte = 0;
  iovec data = {&byte, sizeof(byte)};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  AttachDescriptors({&descriptor, 1}, control, &message);
  return sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace

Mailbox& Mailbox::Here() { return *mailbox; }

bool Mailbox::Open() {
  if (sender_ == nullptr || !sender_->IsOwner()) {
    PyErr_SetString(PyExc_RuntimeError,
                    sender_ == nullptr
                        ? "messages need a live sandbox: CreateSandbox makes one"
                        : "a process that the program has forked has no messages of its own");
    return false;
  }
  if (line_[0]) return true;
  UniqueFd theirs;
  if (!MakePair(SOCK_SEQPACKET, &line_[0], &theirs)) return false;
  internal::v1::GuestFrame frame;
  frame.mutable_open_mailbox();
  // No signal ends it: half of it would leave a mailbox that nobody reads.
  const absl::Status sent = sender_->Send(frame, FrameSender::OnSignal::kGoOn, std::move(theirs));
  if (sent.ok()) return true;
  line_[0].reset();
  return RaiseChannelClosed("the host is gone");
}

bool Mailbox::Connect(const Deadline& deadline, UniqueFd* connection) {
  UniqueFd theirs;
  if (!Open() || !MakePair(SOCK_STREAM, connection, &theirs)) return false;
  for (;;) {
    if (SendDescriptor(line_.fd(0), theirs.get()) >= 0) return true;
    if (IsClosedError(errno)) return RaiseChannelClosed("the host is gone");
    if (errno != EAGAIN) return RaiseErrno();
    const int ready = WaitForDescriptor(line_.fd(0), POLLOUT, deadline.Left());
    if (ready < 0) return false;
    if (ready == 0) return RaiseTimeout("the host has no time for it");
  }
}

}  // namespace cloister::sandbox
