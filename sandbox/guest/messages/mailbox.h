// An interpreter's way to its host (cloister/internal/v1/mailbox.proto), opened when it is first
// needed. The host makes all sockets that it reads: they come to the guest ahead of their use.
//
// Thread-safety: with the GIL, which is released where it waits.
// Errors: false with a Python exception set.

#ifndef CLOISTER_SANDBOX_GUEST_MESSAGES_MAILBOX_H_
#define CLOISTER_SANDBOX_GUEST_MESSAGES_MAILBOX_H_

#include "sandbox/base/unique_fd.h"
#include "sandbox/guest/frame_sender.h"
#include "sandbox/guest/messages/deadline.h"
#include "sandbox/guest/messages/message_ends.h"

namespace cloister::sandbox {

class Mailbox {
 public:
  // Of the calling interpreter.
  static Mailbox& Here();

  Mailbox() { door_.of = line_.of = MessageEnds::Of::kMailbox; }

  // Before the first cell of a session. The sender outlives the interpreter.
  void SetHost(FrameSender* sender) { sender_ = sender; }

  // Our end of a new connection.
  bool Connect(const Deadline& deadline, UniqueFd* connection);

 private:
  // Asks the host for a line, once.
  bool Ask();
  bool Open(const Deadline& deadline);
  // The next descriptor that the host sends.
  bool Receive(MessageEnds* from, const Deadline& deadline, UniqueFd* descriptor);

  FrameSender* sender_ = nullptr;
  MessageEnds door_;  // where the line comes, until it is there
  MessageEnds line_;  // where connections come
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_MAILBOX_H_
