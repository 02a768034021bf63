// The messages of one live interpreter: what its client sends goes into its inbox, what it posts waits for a client, and
// what its code asks goes to whoever answers.
//
// One object for the interpreter's whole life, through restarts; each start has a mailbox of its own.
//
// Thread-safety: loop thread only.
// Ownership: shared by the interpreter, which ends it before it goes, and the client's connection. What `Context` names
// must outlive the interpreter.

#ifndef CLOISTER_SERVICE_CORE_INTERPRETER_MAIL_H_
#define CLOISTER_SERVICE_CORE_INTERPRETER_MAIL_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sandbox/base/loop.h"
#include "sandbox/mailbox.h"
#include "service/core/guest_requests.h"
#include "service/core/message_connection.h"
#include "service/core/observer.h"
#include "service/core/request_memory.h"

namespace cloister::core {

class InterpreterMail final : public sandbox::MailboxObserver,
                              public std::enable_shared_from_this<InterpreterMail> {
 public:
  struct Context {
    sandbox::Loop* loop;
    ServiceObserver* observer;
    // Null where there is nobody: they are refused.
    GuestRequests* requests;
    std::string interpreter;
    // Something came or went.
    std::function<void()> on_used;
  };

  // What waits for a client; then the interpreter's code waits. One message may go past it.
  static constexpr size_t kMaxWaitingBytes = size_t{1} << 20;

  explicit InterpreterMail(Context context) : context_(std::move(context)) {}

  // ---- Its life, as the interpreter directs it.

  // A start's mailbox, which is served from here on.
  void Begin(sandbox::Mailbox* mailbox);
  // That start is over. What its code has asked comes to nothing.
  void Halt();
  // The client's stream ends with `why`, behind what waits for it.
  void End(const absl::Status& why);
  // The interpreter object goes.
  void Retire();

  // ---- For clients.

  // Errors: INBOX_FULL, OVERLOADED (it is being started), INTERPRETER_LOST (nobody reads its inbox any more).
  absl::Status Post(std::string clone, RequestMemory::Share held);
  // Errors: ALREADY_CONNECTED.
  absl::StatusOr<std::unique_ptr<MessageConnection>> Connect(HostCallOptions options, MessageListener* listener);
  bool is_connected() const { return connection_ != nullptr; }

  // ---- For other interpreters of the sandbox.

  // UNAVAILABLE: it is being started, or has ended.
  absl::StatusOr<sandbox::UniqueFd> OpenSender();

 private:
  friend class MessageConnection;

  void Leave(MessageConnection* connection);
  std::optional<PostedMessage> TakeWaiting();
  bool HasRoomFor(size_t bytes) { return mailbox_ != nullptr && mailbox_->HasRoomFor(bytes); }
  void AnswerHostCall(int64_t request, internal::v1::MailboxReply reply);
  void PassOn(int64_t number, internal::v1::MailboxRequest request);
  absl::Status CheckBegun() const;

  // sandbox::MailboxObserver
  bool OnPost(std::string clone, std::shared_ptr<void> held) override;
  void OnRequest(int64_t number, internal::v1::MailboxRequest request) override;
  void OnRequestGone(int64_t number) override;
  void OnInboxRoom() override;

  Context context_;
  sandbox::Mailbox* mailbox_ = nullptr;  // of the start under way
  uint64_t start_ = 0;
  MessageConnection* connection_ = nullptr;
  std::deque<PostedMessage> waiting_;  // posts, for a client
  size_t waiting_bytes_ = 0;
  // Of all starts; those that waited at the end of one are taken.
  uint64_t posts_ = 0;
  uint64_t taken_posts_ = 0;
  bool posts_paused_ = false;
  std::map<int64_t, GuestRequests::AbandonFunction> passed_on_;  // what is to be answered
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_INTERPRETER_MAIL_H_
