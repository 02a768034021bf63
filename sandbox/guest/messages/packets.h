// One message as a packet of an inbox or a channel (sandbox/wire/inbox_packet.h).
//
// Who has the other end may be hostile code: whatever comes is a message or an error, and takes
// nothing with it.
//
// Thread-safety: with the GIL, which is only released to copy long messages.

#ifndef CLOISTER_SANDBOX_GUEST_MESSAGES_PACKETS_H_
#define CLOISTER_SANDBOX_GUEST_MESSAGES_PACKETS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/unique_fd.h"
#include "sandbox/guest/clone/clone.h"
#include "sandbox/guest/clone/clone_handles.h"
#include "sandbox/guest/python_object.h"
#include "sandbox/wire/inbox_packet.h"

namespace cloister::sandbox {

class OutgoingMessage {
 public:
  OutgoingMessage() = default;
  OutgoingMessage(const OutgoingMessage&) = delete;
  OutgoingMessage& operator=(const OutgoingMessage&) = delete;

  // Once. `transfer`: an iterable of what is handed over with it, or null. False with a Python
  // exception set.
  bool Encode(PyObject* value, PyObject* transfer);

  // Once it is with its receiver: ends what is handed over. Without this, the destructor takes it
  // back.
  void Sent() { handles_.Sent(); }

  enum class Result {
    kSent,
    kFull,    // the receiver has to read first
    kClosed,  // nobody can receive it any more
    kFailed,  // with a Python exception set
  };
  // Does not wait.
  Result Send(int socket);

 private:
  // Puts the clone into memory of its own. False with a Python exception set.
  bool MoveToMemory();

  CloneHandles handles_;
  CloneBytes clone_;
  UniqueFd memory_;
  std::vector<int> descriptors_;  // all of them, that of the memory last
};

// A message of the host's that came in several packets, until it is whole.
struct MessageParts {
  CloneBytes bytes;
  uint64_t expected = 0;    // 0: there is none
  bool is_dropped = false;  // there was no memory for it
};

class IncomingMessage {
 public:
  // Of the size of a packet: it is for stacks.
  IncomingMessage() {}
  IncomingMessage(const IncomingMessage&) = delete;
  IncomingMessage& operator=(const IncomingMessage&) = delete;
  ~IncomingMessage();

  enum class Result {
    kWhole,    // to be decoded
    kPart,     // of one that goes on
    kNothing,  // none waits
    kClosed,   // none waits and none will come
    kBroken,   // what came is no message: problem()
    kFailed,   // with a Python exception set
  };
  // Does not wait.
  Result Read(int socket, MessageParts* parts);

  // Of a whole one; an empty reference with a Python exception set.
  PyRef Decode();

  const char* problem() const { return problem_; }

 private:
  Result Broken(const char* problem);
  Result Take(const InboxPacketHeader& header, size_t payload, MessageParts* parts);
  Result TakePart(const InboxPacketHeader& header, size_t payload, MessageParts* parts);
  Result TakeMemory(const InboxPacketHeader& header);

  char buffer_[kMaxInlineBytes];  // left as it is
  void* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
  CloneBytes whole_;  // of parts
  std::string_view clone_;
  std::vector<UniqueFd> descriptors_;
  const char* problem_ = "";
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_PACKETS_H_
