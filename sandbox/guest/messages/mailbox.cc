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

// What comes with one byte; the result is recvmsg's.
ssize_t ReceiveDescriptor(int socket, UniqueFd* descriptor) {
  char byte;
  iovec data = {&byte, sizeof(byte)};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t size = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size > 0) {
    for (UniqueFd& taken : TakeDescriptors(&message)) *descriptor = std::move(taken);
  }
  return size;
}

bool RaiseGone() { return RaiseChannelClosed("the host is gone"); }

}  // namespace

Mailbox& Mailbox::Here() { return *mailbox; }

bool Mailbox::Ask() {
  UniqueFd theirs;
  if (!MakePair(SOCK_SEQPACKET, &door_[0], &theirs)) return false;
  internal::v1::GuestFrame frame;
  frame.mutable_open_mailbox();
  // No signal ends it: half of it would leave a mailbox that nobody reads.
  const absl::Status sent = sender_->Send(frame, FrameSender::OnSignal::kGoOn, std::move(theirs));
  if (sent.ok()) return true;
  door_[0].reset();
  return RaiseGone();
}

bool Mailbox::Open(const Deadline& deadline) {
  if (sender_ == nullptr || !sender_->IsOwner()) {
    PyErr_SetString(PyExc_RuntimeError,
                    sender_ == nullptr
                        ? "messages need a live sandbox: CreateSandbox makes one"
                        : "a process that the program has forked has no messages of its own");
    return false;
  }
  if (!line_[0] && !door_[0] && !Ask()) return false;
  // Another thread may be as far, and an interrupt may have ended an earlier wait.
  while (!line_[0]) {
    if (!Receive(&door_, deadline, &line_[0])) return false;
  }
  door_[0].reset();
  return true;
}

bool Mailbox::Receive(MessageEnds* from, const Deadline& deadline, UniqueFd* descriptor) {
  for (;;) {
    const ssize_t size = ReceiveDescriptor(from->fd(0), descriptor);
    if (size > 0) return *descriptor || RaiseGone();
    if (line_[0] && from == &door_) return true;  // of another thread
    if (size == 0 || IsClosedError(errno)) return RaiseGone();
    if (errno != EAGAIN) return RaiseErrno();
    const int ready = WaitForDescriptor(from->fd(0), POLLIN, deadline.Left());
    if (ready < 0) return false;
    if (ready == 0) return RaiseTimeout("the host has no time for it");
    if (line_[0] && from == &door_) return true;
  }
}

bool Mailbox::Connect(const Deadline& deadline, UniqueFd* connection) {
  return Open(deadline) && Receive(&line_, deadline, connection);
}

}  // namespace cloister::sandbox
