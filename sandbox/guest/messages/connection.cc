#include "sandbox/guest/messages/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "sandbox/guest/clone/clone.h"
#include "sandbox/guest/messages/mailbox.h"
#include "sandbox/guest/messages/message_errors.h"
#include "sandbox/wire/passed_descriptors.h"

namespace cloister::sandbox {
namespace {

using internal::v1::MailboxFailure;
using internal::v1::MailboxReply;

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

bool HostConnection::Start(const internal::v1::MailboxRequest& request, const Deadline& deadline) {
  if (Mailbox::Here().Connect(deadline, &ends_[0]) &&
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

bool HostConnection::ReadSome(bool* is_any) {
  char piece[size_t{16} << 10];
  iovec data = {piece, sizeof(piece)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFrameDescriptors)];
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t size = recvmsg(ends_.fd(0), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  *is_any = size > 0;
  if (size < 0 && errno == EAGAIN) return true;
  if (size <= 0) {
    const bool is_gone = size == 0 || IsClosedError(errno);
    if (is_gone) ends_.Close();
    return is_gone ? RaiseChannelClosed(kGone) : RaiseErrno();
  }
  if (message.msg_controllen > 0 && descriptors_.empty()) descriptors_ = TakeDescriptors(&message);
  std::string_view bytes(piece, static_cast<size_t>(size));
  while (!bytes.empty()) {
    const size_t before = bytes.size();
    if (!decoder_.Consume(&bytes).ok()) return RaiseChannelClosed("the host's answer is too long");
    if (bytes.size() == before) break;  // more than one reply: nobody reads it
  }
  return true;
}

bool HostConnection::ReadReply(const Deadline& deadline, MailboxReply* reply) {
  for (;;) {
    if (ends_.is_closed()) return RaiseChannelClosed(kClosed);
    bool is_any;
    if (!ReadSome(&is_any)) return false;
    if (std::optional<std::string> message = decoder_.TakeMessage(); message.has_value()) {
      return reply->ParseFromString(*message) || RaiseChannelClosed("the host's answer is none");
    }
    if (!is_any && !Wait(POLLIN, deadline)) return false;
  }
}

UniqueFd HostConnection::TakeDescriptor() {
  return descriptors_.empty() ? UniqueFd() : std::move(descriptors_.front());
}

PyRef HostConnection::Finish(const Deadline& deadline) {
  MailboxReply reply;
  if (!ReadReply(deadline, &reply)) return PyRef();
  ends_.Close();
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
