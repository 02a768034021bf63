// A client's connection to one live interpreter.
//
// What the client posts and the inbox has no room for yet waits here, so that the rest of its stream can be read: its
// answers, which the reader of that inbox may wait for. The client has credit for as much as may wait
// (v1.PostCredit); where it goes past that, its stream is not read meanwhile.

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
#include "sandbox/mailbox.h"
#include "service/core/host_calls.h"
#include "service/core/request_memory.h"

namespace cloister::core {

class InterpreterMail;

// A clone with inline buffers, fit for a Value, and what is held for it of the server's memory.
struct PostedMessage {
  std::string clone;
  std::shared_ptr<void> held = {};
};
// So much of the client's posts has gone into the inbox.
struct PostCredit {
  int64_t bytes = 0;
};
using MessageEvent = std::variant<PostedMessage, HostCall, HostCallCancelled, PostCredit>;

// What a client posts.
struct ClientPost {
  std::string clone;
  int64_t credit_bytes = 0;  // what it takes of its credit
  RequestMemory::Share memory;
};

// The client. Must outlive its connection.
class MessageListener {
 public:
  virtual ~MessageListener() = default;
  // There may be something to take, or the end. May destroy the connection.
  virtual void OnMessages() = 0;
  // Posts that waited have gone into the inbox, or, with an error of MessageConnection::Post, none of them ever will.
  // May destroy the connection.
  virtual void OnPosted(const absl::Status& status) = 0;
};

// Thread-safety: loop thread only. Ownership: of the client; destroying it disconnects.
class MessageConnection {
 public:
  // The client's credit at first. One post, however large, may go past it.
  static constexpr int64_t kPostCreditBytes = int64_t{1} << 20;
  // What each post takes beside the bytes of its Value: about what it takes in memory.
  static constexpr int64_t kPostOverheadBytes = sandbox::Mailbox::kMessageOverheadBytes;

  ~MessageConnection();
  MessageConnection(const MessageConnection&) = delete;
  MessageConnection& operator=(const MessageConnection&) = delete;

  // What the client is to be told next, in order: credit, cancellations, messages and calls.
  std::optional<MessageEvent> Take();
  // Why nothing will come any more, once all that waited has been taken.
  bool AtEnd() const { return !end_.ok() && left_.empty(); }
  const absl::Status& end() const { return end_; }

  // Into the inbox, behind what waits for room in it. INTERPRETER_LOST (nobody reads it), or the end.
  absl::Status Post(ClientPost post);
  // More waits than the client has credit for: its stream is not to be read until OnPosted finds that over.
  bool is_past_credit() const { return is_past_credit_; }
  // HOST_CALL_UNKNOWN.
  absl::Status Answer(int64_t number, internal::v1::MailboxReply reply);
  // The client will answer nothing any more.
  void CloseCalls();

 private:
  friend class InterpreterMail;
  MessageConnection(std::shared_ptr<InterpreterMail> mail, HostCalls::Context calls, HostCallOptions options,
                    MessageListener* listener);

  // There may be room in the inbox.
  void OnInboxRoom();
  // What there is room for.
  absl::Status PostWaiting();
  // The interpreter has ended; these messages of it are left.
  void End(const absl::Status& why, std::deque<PostedMessage> left);

  const std::shared_ptr<InterpreterMail> mail_;
  MessageListener* const listener_;
  HostCalls calls_;
  absl::Status end_;
  std::deque<PostedMessage> left_;
  std::deque<ClientPost> posts_;  // that wait for room
  int64_t waiting_credit_ = 0;    // what they take of it
  int64_t returned_credit_ = 0;   // not told yet
  bool is_past_credit_ = false;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_MESSAGE_CONNECTION_H_
