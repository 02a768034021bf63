#include "service/core/message_connection.h"

#include <utility>

#include "service/core/interpreter_mail.h"

namespace cloister::core {

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
    PostedMessage message{std::move(left_.front())};
    left_.pop_front();
    return message;
  }
  if (auto cancelled = calls_.TakeCancelled()) return *cancelled;
  if (auto clone = mail_->TakeWaiting()) return PostedMessage{*std::move(clone)};
  if (auto call = calls_.Take()) return *std::move(call);
  return std::nullopt;
}

bool MessageConnection::HasRoomFor(size_t bytes) { return end_.ok() && mail_->HasRoomFor(bytes); }

absl::Status MessageConnection::Post(std::string clone, RequestMemory::Share held) {
  if (!end_.ok()) return end_;
  return mail_->Post(std::move(clone), std::move(held));
}

absl::Status MessageConnection::Answer(int64_t number, internal::v1::MailboxReply reply) {
  if (!end_.ok()) return absl::OkStatus();  // it crossed the end
  return calls_.Answer(number, std::move(reply));
}

void MessageConnection::CloseCalls() { calls_.Close("the client answers no calls any more"); }

void MessageConnection::End(const absl::Status& why, std::deque<std::string> left) {
  calls_.Drop();
  end_ = why;
  left_ = std::move(left);
  listener_->OnMessages();  // may destroy this
}

}  // namespace cloister::core
