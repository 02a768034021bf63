#include "sandbox/guest/messages/connection.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "sandbox/base/syscall_status.h"
#include "sandbox/guest/clone/clone.h"
#include "sandbox/guest/messages/mailbox.h"
#include "sandbox/guest/messages/message_errors.h"
#include "sandbox/wire/passed_descriptors.h"

namespace cloister::sandbox {
namespace {

using internal::v1::MailboxFailure;
using internal::v1::MailboxReply;

// Beside the connection, the place of the descriptor that a reply brings: who has none left learns
// it before he asks, and not when it comes and is lost.
constexpr size_t kReserved = 1;

constexpr char kGone[] = "the host has closed the connection";
constexpr char kClosed[] = "the call is closed";

PyRef RaiseClone(const std::string& clone) {
  PyRef exception = DecodeClone(clone, CloneLimits());
  if (!exception) return PyRef();
  if (PyExceptionInstance_Check(exception.get())) {
    PyErr_SetObject(PyExceptionInstance_Class(exception.get()), exception.get());
  } else {
    PyErr_SetString(PyExc_RuntimeError, "what was called raised something that is no exception");
  }
  return PyRef();
}

}  // namespace

bool HostConnection::Wait(short events, const Deadline& deadline) {
  const MessageEnds::Waiting waiting(&ends_);
  pollfd polled = {ends_.fd(0), events, 0};
  const int ready = WaitForDescriptors(&polled, 1, deadline.Left(), ends_.closed());
  if (ready < 0) return false;
  return ready > 0 || RaiseTimeout("the time is over");
}

bool HostConnection::ReserveDescriptor() {
  ends_[kReserved].reset(fcntl(ends_.fd(0), F_DUPFD_CLOEXEC, 0));
  return ends_[kReserved] || RaiseErrno();
}

bool HostConnection::Start(const internal::v1::MailboxRequest& request, const Deadline& deadline) {
  const bool brings_descriptor = request.has_open_inbox() || request.has_open_port();
  if (Mailbox::Here().Connect(deadline, &ends_[0]) && (!brings_descriptor || ReserveDescriptor()) &&
      SendFrame(request, deadline) != Sending::kFailed) {
    return true;
  }
  ends_.Close();
  return false;
}

bool HostConnection::Send(const google::protobuf::MessageLite& message, const Deadline& deadline) {
  const Sending sending = SendFrame(message, deadline);
  if (sending != Sending::kGone) return sending == Sending::kDone;
  ends_.Close();
  return RaiseChannelClosed(kGone);
}

HostConnection::Sending HostConnection::SendFrame(const google::protobuf::MessageLite& message,
                                                  const Deadline& deadline) {
  absl::StatusOr<std::string> frame = EncodeFrame(message, kMaxMailboxFrameBytes);
  if (!frame.ok()) {
    RaiseDataCloneError(std::string(frame.status().message()));
    return Sending::kFailed;
  }
  size_t done = 0;
  bool may_go_on = true;
  while (done < frame->size() && may_go_on) {
    const ssize_t sent =
        send(ends_.fd(0), frame->data() + done, frame->size() - done, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      done += static_cast<size_t>(sent);
    } else if (IsClosedError(errno)) {
      return Sending::kGone;
    } else {
      may_go_on = errno == EAGAIN ? Wait(POLLOUT, deadline) : RaiseErrno();
      if (may_go_on && ends_.is_closed()) may_go_on = RaiseChannelClosed(kClosed);
    }
  }
  // Half a frame cannot be taken back, and the other half may never follow.
  if (!may_go_on && done > 0) ends_.Close();
  return may_go_on ? Sending::kDone : Sending::kFailed;
}

HostConnection::Reading HostConnection::ReadSome() {
  char piece[size_t{16} << 10];
  iovec data = {piece, sizeof(piece)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFrameDescriptors)];
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const bool is_reserved = static_cast<bool>(ends_[kReserved]);
  ends_[kReserved].reset();
  const ssize_t size = recvmsg(ends_.fd(0), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0 && errno == EAGAIN) {
    if (is_reserved) ends_[kReserved].reset(fcntl(ends_.fd(0), F_DUPFD_CLOEXEC, 0));
    return Reading::kNothing;
  }
  if (size <= 0) {
    const bool is_gone = size == 0 || IsClosedError(errno);
    problem_ = is_gone ? kGone : std::string(SyscallError("read a reply").message());
    return Reading::kEnd;
  }
  if (message.msg_controllen > 0 && descriptors_.empty())
    descriptors_ = sandbox::TakeDescriptors(&message);
  std::string_view bytes(piece, static_cast<size_t>(size));
  while (!bytes.empty() && !reply_.has_value()) {
    if (!decoder_.Consume(&bytes).ok()) {
      problem_ = "the host's answer is too long";
      return Reading::kEnd;
    }
    // More than one reply: nobody reads the others.
    reply_ = decoder_.TakeMessage();
  }
  return Reading::kSome;
}

bool HostConnection::HasReply() {
  while (!reply_.has_value() && problem_.empty() && !ends_.is_closed()) {
    if (ReadSome() == Reading::kNothing) return false;
  }
  return true;
}

bool HostConnection::ReadReply(const Deadline& deadline, MailboxReply* reply) {
  while (!HasReply()) {
    if (!Wait(POLLIN, deadline)) return false;
  }
  const bool is_closed = ends_.is_closed();
  ends_.Close();
  if (is_closed) return RaiseChannelClosed(kClosed);
  if (!reply_.has_value()) return RaiseChannelClosed(problem_.c_str());
  return reply->ParseFromString(*std::exchange(reply_, std::nullopt)) ||
         RaiseChannelClosed("the host's answer is none");
}

UniqueFd HostConnection::TakeDescriptor() {
  return descriptors_.empty() ? UniqueFd() : std::move(descriptors_.front());
}

PyRef HostConnection::Finish(const Deadline& deadline) {
  MailboxReply reply;
  if (!ReadReply(deadline, &reply)) return PyRef();
  switch (reply.reply_case()) {
    case MailboxReply::kValue:
      return DecodeClone(reply.value(), CloneLimits());
    case MailboxReply::kException:
      return RaiseClone(reply.exception());
    case MailboxReply::kFailure:
      return RaiseFailure(reply.failure());
    case MailboxReply::kInterpreter:
      return PyRef::Steal(PyUnicode_FromStringAndSize(
          reply.interpreter().data(), static_cast<Py_ssize_t>(reply.interpreter().size())));
    default:
      return PyRef::Borrow(Py_None);
  }
}

PyRef RaiseFailure(const MailboxFailure& failure) {
  const std::string& message = failure.message();
  PyObject* type = PyExc_RuntimeError;
  switch (failure.reason()) {
    case MailboxFailure::REASON_NOT_FOUND:
      type = PyExc_LookupError;
      break;
    case MailboxFailure::REASON_CLOSED:
      RaiseChannelClosed(message.c_str());
      return PyRef();
    case MailboxFailure::REASON_TOO_MANY:
      type = PyExc_OverflowError;
      break;
    case MailboxFailure::REASON_REFUSED:
      type = PyExc_ValueError;
      break;
    default:
      break;
  }
  PyErr_SetString(type, message.c_str());
  return PyRef();
}

}  // namespace cloister::sandbox
