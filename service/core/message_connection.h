// A client's connection to one live interpreter.

#ifndef CLOISTER_SERVICE_CORE_MESSAGE_CONNECTION_H_
#define CLOISTER_SERVICE_CORE_MESSAGE_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "cloister/internal/v1/mailbox.pb.h"
#include "service/core/host_calls.h"
#include "service/core/request_memory.h"

namespace cloister::core {

class InterpreterMail;

// A clone with inline buffers, fit for a Value.
struct PostedMessage {
  std::string clone;
};
using MessageEvent = std::variant<PostedMessage, HostCall, HostCallCancelled>;

// The client. Must outlive its connection.
class MessageListener {
 public:
  virtual ~MessageListener() = default;
  // There may be something to take, or the end. May destroy the connection.
  virtual void OnMessages() = 0;
  // There is the room now that HasRoomFor did not find.
  virtual void OnInboxRoom() = 0;
};

// Thread-safety: loop thread only. Ownership: of the client; destroying it disconnects.
class MessageConnection {
 public:
  ~MessageConnection();
  MessageConnection(const MessageConnection&) = delete;
  MessageConnection& operator=(const MessageConnection&) = delete;

  // What the client is to be told next, in order: cancellations, messages, calls.
  std::optional<MessageEvent> Take();
  // Why nothing will come any more, once all that waited has been taken.
  bool AtEnd() const { return !end_.ok() && left_.empty(); }
  const absl::Status& end() const { return end_; }

  // Whether a message of so many bytes may be posted; OnInboxRoom follows where not, unless the end does.
  bool HasRoomFor(size_t bytes);
  // INTERPRETER_LOST (nobody reads its inbox), or the end.
  absl::Status Post(std::string clone, RequestMemory::Share held);
  // HOST_CALL_UNKNOWN.
  absl::Status Answer(int64_t number, internal::v1::MailboxReply reply);
  // The client will answer nothing any more.
  void CloseCalls();

 private:
  friend class InterpreterMail;
  MessageConnection(std::shared_ptr<InterpreterMail> mail, HostCalls::Context calls, HostCallOptions options,
                    MessageListener* listener);

  // The interpreter has ended; these messages of it are left.
  void End(const absl::Status& why, std::deque<std::string> left);

  const std::shared_ptr<InterpreterMail> mail_;
  MessageListener* const listener_;
  HostCalls calls_;
  absl::Status end_;
  std::deque<std::string> left_;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_MESSAGE_CONNECTION_H_
