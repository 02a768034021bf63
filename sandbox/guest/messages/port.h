// An end of an inbox or a channel, or both ends of a channel: what is sent and received through it.
//
// Thread-safety: with the GIL, which is released where it waits; any number of threads at a time.
// Errors: functions say kFailed with a Python exception set.

#ifndef CLOISTER_SANDBOX_GUEST_MESSAGES_PORT_H_
#define CLOISTER_SANDBOX_GUEST_MESSAGES_PORT_H_

#include <cstdint>
#include <deque>
#include <memory>

#include "sandbox/guest/messages/deadline.h"
#include "sandbox/guest/messages/message_ends.h"
#include "sandbox/guest/messages/packets.h"
#include "sandbox/guest/messages/short_waits.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

class Port {
 public:
  // What of it there is. The credits are a semaphore, from which a sender takes one for each
  // message and to which the receiver gives it back; only channels that are bounded have them.
  enum End : size_t { kSendEnd, kReceiveEnd, kCredits };

  Port() = default;

  // A new channel for at most `capacity` messages; 0: for as many as the kernel's buffer holds.
  bool Open(uint32_t capacity);

  MessageEnds& ends() { return ends_; }
  uint32_t capacity() const { return capacity_; }
  void set_capacity(uint32_t capacity) { capacity_ = capacity; }

  // Whether a message that is being sent takes it along.
  bool is_handed_over() const { return is_handed_over_; }
  void set_handed_over(bool is_handed_over) { is_handed_over_ = is_handed_over; }

  // Lets it take messages of the host's, which come in parts.
  void ReceiveFromHost() { parts_ = std::make_unique<MessageParts>(); }

  enum class Done {
    kYes,
    kNotYet,  // when the time is over
    kFailed,
  };
  // `transfer`: what the receiver alone has then; null for nothing.
  Done Send(PyObject* value, PyObject* transfer, const Deadline& deadline);
  Done Receive(const Deadline& deadline, PyRef* value);

  // Of a queue without bound: does not wait. What the socket has no room for is kept here, behind
  // what is kept already, and sent by Flush(). kNotYet where kMaxChannelCapacity wait.
  Done SendOrKeep(PyObject* value, PyObject* transfer);
  bool is_keeping() const { return !kept_.empty(); }
  // Until nothing is kept. What nobody can receive any more is dropped.
  Done Flush();
  // In a fork of the process, where the original sends it.
  void DropKept() { kept_.clear(); }

  // Of a bounded channel: how many messages wait in it, as far as can be told while others send and
  // receive. -1 with a Python exception set.
  int64_t Count();
  // Whether `events` of poll(2) can happen at an end now.
  bool IsReady(End end, short events);

 private:
  enum class Credit { kTaken, kNone, kClosed };
  Credit TakeCredit();
  void PutCredits(uint64_t count);
  // False where the time is over (`*done` is kNotYet then) or an exception is set.
  bool Wait(pollfd* polled, nfds_t count, const Deadline& deadline, Done* done);
  bool CheckOpen(End end);
  Done SendEncoded(OutgoingMessage* message, const Deadline& deadline);

  MessageEnds ends_;
  uint32_t capacity_ = 0;
  bool is_handed_over_ = false;
  std::unique_ptr<MessageParts> parts_;
  ShortWaits short_waits_;
  std::deque<std::unique_ptr<OutgoingMessage>> kept_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_PORT_H_
