#include "service/core/interpreter_mail.h"

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/core/mailbox_failure.h"

namespace cloister::core {
namespace {

using internal::v1::MailboxFailure;
using internal::v1::MailboxReply;
using internal::v1::MailboxRequest;

// Its reader takes about so long for as much as may wait.
constexpr absl::Duration kFullRetryDelay = absl::Milliseconds(100);

absl::Status FullError(const std::string& interpreter) {
  const std::string maximum = absl::StrCat(sandbox::Mailbox::kMaxInboxBytes);
  return WithRetryDelay(
      WithMetadata(
          MakeError(v1::ERROR_REASON_INBOX_FULL,
                    absl::StrCat("the inbox of ", interpreter, " holds as much as it may, ",
                                 maximum, " bytes; retry when its code has read some")),
          "maximum", maximum),
      kFullRetryDelay);
}

}  // namespace

// ---- its life -----------------------------------------------------------------------------------

void InterpreterMail::Begin(sandbox::Mailbox* mailbox) {
  ++start_;
  mailbox_ = mailbox;
  // What an earlier start posted is nobody's any more.
  waiting_.clear();
  waiting_bytes_ = 0;
  taken_posts_ = posts_;
  posts_paused_ = false;
  mailbox_->SetObserver(this);
  if (connection_ != nullptr) connection_->OnInboxRoom();
}

void InterpreterMail::Halt() {
  if (mailbox_ == nullptr) return;
  std::exchange(mailbox_, nullptr)->SetObserver(nullptr);
  for (const auto& [number, abandon] : std::exchange(passed_on_, {})) {
    if (abandon != nullptr) abandon();
  }
}

void InterpreterMail::End(const absl::Status& why) {
  waiting_bytes_ = 0;
  auto waiting = std::exchange(waiting_, {});
  if (connection_ == nullptr) return;
  context_.observer->OnClientConnected(-1);
  std::exchange(connection_, nullptr)->End(why, std::move(waiting));
}

void InterpreterMail::Retire() {
  Halt();
  End(absl::CancelledError("the interpreter has ended"));
  context_.requests = nullptr;
  context_.on_used = [] {};
}

absl::Status InterpreterMail::CheckBegun() const {
  if (mailbox_ != nullptr) return absl::OkStatus();
  return WithRetryDelay(
      MakeError(v1::ERROR_REASON_OVERLOADED,
                absl::StrCat(context_.interpreter, " is just being started; retry")),
      kFullRetryDelay);
}

// ---- to the interpreter -------------------------------------------------------------------------

absl::Status InterpreterMail::Post(std::string clone, RequestMemory::Share held) {
  if (absl::Status begun = CheckBegun(); !begun.ok()) return begun;
  const size_t bytes = clone.size();
  if (!mailbox_->HasRoomFor(bytes)) return FullError(context_.interpreter);
  auto kept = std::make_shared<RequestMemory::Share>(std::move(held));
  if (!mailbox_->Post(std::move(clone), std::move(kept)).ok()) {
    return MakeError(v1::ERROR_REASON_INTERPRETER_LOST,
                     absl::StrCat("nobody reads the inbox of ", context_.interpreter, " any more"));
  }
  context_.observer->OnMessage(MessageDirection::kIn, bytes);
  context_.on_used();
  return absl::OkStatus();
}

absl::StatusOr<sandbox::UniqueFd> InterpreterMail::OpenSender() {
  if (mailbox_ == nullptr) return absl::UnavailableError("it is just being started, or has ended");
  return mailbox_->OpenSender();
}

void InterpreterMail::OnInboxRoom() {
  if (connection_ != nullptr) connection_->OnInboxRoom();
}

// ---- to the client ------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<MessageConnection>> InterpreterMail::Connect(
    HostCallOptions options, MessageListener* listener) {
  if (connection_ != nullptr) {
    return MakeError(v1::ERROR_REASON_ALREADY_CONNECTED,
                     absl::StrCat("another client is connected to ", context_.interpreter));
  }
  HostCalls::Context calls{
      .loop = context_.loop,
      .observer = context_.observer,
      .answer = [this](int64_t request,
                       MailboxReply reply) { AnswerHostCall(request, std::move(reply)); },
      .on_ready = [listener] { listener->OnMessages(); }};
  std::unique_ptr<MessageConnection> connection(
      new MessageConnection(shared_from_this(), std::move(calls), std::move(options), listener));
  connection_ = connection.get();
  context_.observer->OnClientConnected(1);
  context_.on_used();
  return connection;
}

void InterpreterMail::Leave(MessageConnection* connection) {
  if (connection_ != connection) return;
  connection_ = nullptr;
  context_.observer->OnClientConnected(-1);
  context_.on_used();
}

bool InterpreterMail::OnPost(std::string clone, std::shared_ptr<void> held) {
  waiting_bytes_ += clone.size() + sandbox::Mailbox::kMessageOverheadBytes;
  ++posts_;
  waiting_.push_back({std::move(clone), std::move(held)});
  if (connection_ != nullptr) connection_->listener_->OnMessages();
  posts_paused_ = waiting_bytes_ >= kMaxWaitingBytes;
  return !posts_paused_;
}

std::optional<PostedMessage> InterpreterMail::TakeWaiting() {
  if (waiting_.empty()) return std::nullopt;
  PostedMessage message = std::move(waiting_.front());
  waiting_.pop_front();
  ++taken_posts_;
  waiting_bytes_ -= message.clone.size() + sandbox::Mailbox::kMessageOverheadBytes;
  context_.observer->OnMessage(MessageDirection::kOut, message.clone.size());
  // Not already when it was posted: code alone must not keep its sandbox from being idle.
  context_.on_used();
  if (posts_paused_ && waiting_bytes_ < kMaxWaitingBytes && mailbox_ != nullptr) {
    posts_paused_ = false;
    mailbox_->ResumePosts();
  }
  return message;
}

// ---- requests -----------------------------------------------------------------------------------

void InterpreterMail::OnRequest(int64_t number, MailboxRequest request) {
  if (!request.has_call_host()) return PassOn(number, std::move(request));
  if (connection_ != nullptr) {
    return connection_->calls_.Begin(number, std::move(*request.mutable_call_host()), posts_);
  }
  context_.observer->OnHostCall(HostCallResult::kNotOffered, absl::ZeroDuration());
  mailbox_->Answer(number, FailureReply(MailboxFailure::REASON_NOT_FOUND,
                                        "no client is connected that offers functions"));
}

void InterpreterMail::AnswerHostCall(int64_t request, MailboxReply reply) {
  if (mailbox_ != nullptr) mailbox_->Answer(request, std::move(reply));
}

void InterpreterMail::PassOn(int64_t number, MailboxRequest request) {
  if (context_.requests == nullptr) {
    return mailbox_->Answer(number, FailureReply(MailboxFailure::REASON_REFUSED,
                                                 "this server has no other interpreters"));
  }
  passed_on_.emplace(number, nullptr);
  auto abandon = context_.requests->Serve(
      context_.interpreter, std::move(request),
      [weak = weak_from_this(), number, start = start_](
          MailboxReply reply, std::vector<sandbox::UniqueFd> descriptors) {
        const auto self = weak.lock();
        // A later start has numbers of its own.
        if (self == nullptr || self->mailbox_ == nullptr || self->start_ != start) return;
        self->passed_on_.erase(number);
        self->mailbox_->Answer(number, std::move(reply), std::move(descriptors));
      });
  const auto found = passed_on_.find(number);
  if (found != passed_on_.end()) found->second = std::move(abandon);
}

void InterpreterMail::OnRequestGone(int64_t number) {
  if (connection_ != nullptr) connection_->calls_.Abandon(number);
  const auto passed = passed_on_.extract(number);
  if (!passed.empty() && passed.mapped() != nullptr) passed.mapped()();
}

}  // namespace cloister::core
