// An interpreter's way to its host (cloister/internal/v1/mailbox.proto), opened when it is first
// needed.
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

  Mailbox() { line_.of = MessageEnds::Of::kMailbox; }

  // Before the first cell of a session. The sender outlives the interpreter.
  void SetHost(FrameSender* sender) { sender_ = sender; }

  // Our end of a new connection.
  bool Connect(const Deadline& deadline, UniqueFd* connection);

 private:
  bool Open();

  FrameSender* sender_ = nullptr;
  MessageEnds line_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_MAILBOX_H_
