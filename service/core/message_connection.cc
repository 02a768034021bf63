#include "service/core/message_connection.h"

#include <utility>

#include "sandbox/base/status_macros.h"
#include "service/core/interpreter_mail.h"

namespace cloister::core {
namespace {

// Told in parts: each is a message to the client.
constexpr int64_t kLeastCredit = MessageConnection::kPostCreditBytes / 4;

}  // namespace

MessageConnection::MessageConnection(std::shared_ptr<InterpreterMail> mail,
                                     HostCalls::Context calls, HostCallOptions options,
                                     MessageListener* listener)
    : mail_(std::move(mail)), listener_(listener), calls_(std::move(calls), std::move(options)) {}

MessageConnection::~MessageConnection() {
  calls_.Close("the client has gone");
  mail_->Leave(this);
}

std::optional<MessageEvent> MessageConnection::Take() {
  if (!end_.ok()) {
    if (left_.empty()) return std::nullopt;
    PostedMessage message = std::move(left_.front());
    left_.pop_front();
    return message;
  }
  if (returned_credit_ >= kLeastCredit) return PostCredit{std::exchange(returned_credit_, 0)};
  if (auto cancelled = calls_.TakeCancelled()) return *cancelled;
  // Behind what was posted before it, and not behind what is posted all the time.
  if (auto call = calls_.Take(mail_->taken_posts_)) return *std::move(call);
  if (auto message = mail_->TakeWaiting()) return *std::move(message);
  return std::nullopt;
}

absl::Status MessageConnection::Post(ClientPost post) {
  if (!end_.ok()) return end_;
  is_past_credit_ = waiting_credit_ >= kPostCreditBytes;
  waiting_credit_ += post.credit_bytes;
  posts_.push_back(std::move(post));
  // Where others wait before it, room is told of.
  return posts_.size() == 1 ? PostWaiting() : absl::OkStatus();
}

absl::Status MessageConnection::PostWaiting() {
  while (!posts_.empty() && mail_->HasRoomFor(posts_.front().clone.size())) {
    ClientPost post = std::move(posts_.front());
    posts_.pop_front();
    waiting_credit_ -= post.credit_bytes;
    returned_credit_ += post.credit_bytes;
    CLOISTER_RETURN_IF_ERROR(mail_->Post(std::move(post.clone), std::move(post.memory)));
  }
  if (waiting_credit_ < kPostCreditBytes) is_past_credit_ = false;
  return absl::OkStatus();
}

void MessageConnection::OnInboxRoom() {
  if (posts_.empty()) return;
  listener_->OnPosted(PostWaiting());  // may destroy this
}

absl::Status MessageConnection::Answer(int64_t number, internal::v1::MailboxReply reply) {
  if (!end_.ok()) return absl::OkStatus();  // it crossed the end
  return calls_.Answer(number, std::move(reply));
}

void MessageConnection::CloseCalls() { calls_.Close("the client answers no calls any more"); }

void MessageConnection::End(const absl::Status& why, std::deque<PostedMessage> left) {
  calls_.Drop();
  posts_.clear();
  end_ = why;
  left_ = std::move(left);
  listener_->OnMessages();  // may destroy this
}

}  // namespace cloister::core
