#include "sandbox/guest/messages/port.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/guest/interrupts.h"
#include "sandbox/guest/messages/eventfd_info.h"
#include "sandbox/guest/messages/message_errors.h"

namespace cloister::sandbox {
namespace {

constexpr char kNoReceiver[] = "nobody can receive it: the other end is closed";
constexpr char kNoSender[] = "nothing more will come: the other end is closed";

}  // namespace

bool Port::Open(uint32_t capacity) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return RaiseErrno();
  ends_[kReceiveEnd].reset(pair[0]);
  ends_[kSendEnd].reset(pair[1]);
  shutdown(pair[1], SHUT_RD);
  capacity_ = capacity;
  if (capacity == 0) return true;
  ends_[kCredits].reset(eventfd(capacity, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE));
  return ends_[kCredits] || RaiseErrno();
}

bool Port::CheckOpen(End end) {
  return (!ends_.is_closed() && ends_[end]) || RaiseChannelClosed("this end is closed");
}

bool Port::IsReady(End end, short events) {
  pollfd polled = {ends_.fd(end), events, 0};
  return poll(&polled, 1, 0) > 0;
}

bool Port::Wait(pollfd* polled, nfds_t count, const Deadline& deadline, Done* done) {
  *done = Done::kNotYet;
  if (deadline.IsNow()) return false;
  const MessageEnds::Waiting waiting(&ends_);
  const int64_t begin = MonotonicNanoseconds();
  bool is_ready = false;
  if (const int64_t budget = short_waits_.Budget(); budget > 0) {
    const int64_t left = deadline.Left();
    Py_BEGIN_ALLOW_THREADS;
    is_ready = LookFor(polled, count, left < 0 ? budget : std::min(budget, left));
    Py_END_ALLOW_THREADS;
    short_waits_.Looked(is_ready);
  }
  if (!is_ready) {
    const int ready = WaitForDescriptors(polled, count, deadline.Left(), ends_.closed());
    if (ready < 0) *done = Done::kFailed;
    is_ready = ready > 0;
  }
  short_waits_.Waited(MonotonicNanoseconds() - begin);
  return is_ready;
}

// ---- credits ------------------------------------------------------------------------------------

Port::Credit Port::TakeCredit() {
  if (!ends_[kCredits]) return Credit::kTaken;
  uint64_t count;
  // A peer may have made it one that waits.
  if (IsReady(kCredits, POLLIN) &&
      read(ends_.fd(kCredits), &count, sizeof(count)) == sizeof(count)) {
    // Of a semaphore that is one. Older kernels do not tell what a peer has sent (IsCredits).
    if (count > 1) PutCredits(count - 1);
    return Credit::kTaken;
  }
  // What waits for a credit has no other way to learn that nobody will give one.
  pollfd polled = {ends_.fd(kSendEnd), 0, 0};
  return poll(&polled, 1, 0) > 0 ? Credit::kClosed : Credit::kNone;
}

void Port::PutCredits(uint64_t count) {
  // It is full only where somebody has put into it what nobody took.
  if (ends_[kCredits] && IsReady(kCredits, POLLOUT)) {
    (void)!write(ends_.fd(kCredits), &count, sizeof(count));
  }
}

int64_t Port::Count() {
  const EventfdInfo info = ReadEventfdInfo(ends_.fd(kCredits));
  if (!info.count.has_value()) {
    PyErr_SetString(PyExc_OSError, "how many messages wait cannot be told: no /proc");
    return -1;
  }
  return *info.count > capacity_ ? 0 : static_cast<int64_t>(capacity_ - *info.count);
}

// ---- messages -----------------------------------------------------------------------------------

Port::Done Port::Send(PyObject* value, PyObject* transfer, const Deadline& deadline) {
  if (!CheckOpen(kSendEnd)) return Done::kFailed;
  OutgoingMessage message;
  // Which may run hooks of the user's.
  if (!message.Encode(value, transfer)) return Done::kFailed;
  return SendEncoded(&message, deadline);
}

Port::Done Port::SendEncoded(OutgoingMessage* message, const Deadline& deadline) {
  Done done = Done::kFailed;
  for (;;) {
    done = Done::kFailed;
    if (!CheckOpen(kSendEnd)) break;
    const Credit credit = TakeCredit();
    const bool has_credit = credit == Credit::kTaken;
    if (credit == Credit::kClosed) {
      RaiseChannelClosed(kNoReceiver);
      break;
    }
    if (has_credit) {
      const OutgoingMessage::Result result = message->Send(ends_.fd(kSendEnd));
      if (result == OutgoingMessage::Result::kSent) {
        message->Sent();
        return Done::kYes;
      }
      // Not kept while it waits: who keeps one may be ended.
      PutCredits(1);
      if (result == OutgoingMessage::Result::kClosed) RaiseChannelClosed(kNoReceiver);
      if (result != OutgoingMessage::Result::kFull) break;
    }
    pollfd polled[] = {{ends_.fd(kSendEnd), static_cast<short>(has_credit ? POLLOUT : 0), 0},
                       {has_credit ? -1 : ends_.fd(kCredits), POLLIN, 0}};
    if (!Wait(polled, 2, deadline, &done)) break;
  }
  return done;
}

Port::Done Port::SendOrKeep(PyObject* value, PyObject* transfer) {
  using Result = OutgoingMessage::Result;
  if (!CheckOpen(kSendEnd)) return Done::kFailed;
  auto message = std::make_unique<OutgoingMessage>();
  // Which may run hooks of the user's.
  if (!message->Encode(value, transfer) || !CheckOpen(kSendEnd)) return Done::kFailed;
  const Credit credit = TakeCredit();
  if (credit == Credit::kNone) return Done::kNotYet;
  const bool has_credit = credit == Credit::kTaken;
  Result result = has_credit ? Result::kFull : Result::kClosed;
  if (has_credit && kept_.empty()) result = message->Send(ends_.fd(kSendEnd));
  if (result == Result::kSent || result == Result::kFull) {
    message->Sent();
    if (result == Result::kFull) kept_.push_back(std::move(message));
    return Done::kYes;
  }
  if (has_credit) PutCredits(1);
  if (result == Result::kClosed) RaiseChannelClosed(kNoReceiver);
  return Done::kFailed;
}

Port::Done Port::Flush() {
  using Result = OutgoingMessage::Result;
  Done done = Done::kYes;
  while (!kept_.empty()) {
    const Result result =
        ends_.is_closed() ? Result::kClosed : kept_.front()->Send(ends_.fd(kSendEnd));
    if (result == Result::kFailed) PyErr_Clear();  // as where there is no memory at the moment
    if (result == Result::kClosed) {
      kept_.clear();
    } else if (result == Result::kSent) {
      kept_.pop_front();
    } else {
      pollfd polled = {ends_.fd(kSendEnd), POLLOUT, 0};
      if (!Wait(&polled, 1, Deadline(), &done)) return done;
    }
  }
  return Done::kYes;
}

Port::Done Port::Receive(const Deadline& deadline, PyRef* value) {
  using Result = IncomingMessage::Result;
  Done done = Done::kFailed;
  IncomingMessage message;
  for (;;) {
    if (!CheckOpen(kReceiveEnd)) return Done::kFailed;
    const Result result = message.Read(ends_.fd(kReceiveEnd), parts_.get());
    if (result == Result::kWhole || result == Result::kBroken) PutCredits(1);
    switch (result) {
      case Result::kWhole:
        *value = message.Decode();
        return *value ? Done::kYes : Done::kFailed;
      case Result::kBroken:
        RaiseDataCloneError(absl::StrCat("a message cannot be read: ", message.problem()));
        return Done::kFailed;
      case Result::kClosed:
        RaiseChannelClosed(kNoSender);
        return Done::kFailed;
      case Result::kFailed:
        return Done::kFailed;
      case Result::kPart:
        if (CheckInterrupts() != 0) return Done::kFailed;
        continue;
      case Result::kNothing:
        break;
    }
    pollfd polled = {ends_.fd(kReceiveEnd), POLLIN, 0};
    if (!Wait(&polled, 1, deadline, &done)) return done;
  }
}

}  // namespace cloister::sandbox
