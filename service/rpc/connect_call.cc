#include "service/rpc/connect_call.h"

#include <string>
#include <utility>

#include "grpcpp/server_context.h"
#include "sandbox/clone/value.h"
#include "service/core/error.h"
#include "service/core/mailbox_failure.h"
#include "service/rpc/host_call_values.h"
#include "service/rpc/status_mapping.h"

namespace cloister::rpc {
namespace {

absl::Status OutOfTurn(const char* field, const char* description) {
  return core::FieldInvalidError({{field, description}});
}

}  // namespace

grpc::ServerBidiReactor<v1::ConnectRequest, v1::ConnectResponse>* ConnectCall::Start() {
  self_ = shared_from_this();
  // Before anything is read, so that it comes before all that ends the call.
  backend_.loop->Enter([self = self_] { self->AwaitOpening(); });
  StartRead(&request_);
  return this;
}

// ---- from the client ----------------------------------------------------------------------------

void ConnectCall::OnReadDone(bool ok) {
  if (!ok) {
    backend_.loop->Enter([self = shared_from_this()] { self->OnReadsDone(); });
    return;
  }
  taken_ = TakeRequest(request_);
  request_.Clear();
  read_votes_ = 0;
  backend_.loop->Enter([self = shared_from_this()] { self->OnRequest(); });
  VoteToRead();
}

// A stream that says nothing is not kept for ever.
void ConnectCall::AwaitOpening() {
  timer_ = backend_.loop->CallAfter(backend_.opening_patience, [this] {
    Fail(OutOfTurn("open", "did not come in time; it must come first, within 10 s"));
  });
}

void ConnectCall::VoteToRead() {
  if (read_votes_.fetch_add(1) == 1) StartRead(&request_);
}

void ConnectCall::OnRequest() {
  if (ended_) return;
  if (!taken_.ok()) return Fail(taken_.status());
  if (auto* opening = std::get_if<TakenOpening>(&*taken_)) {
    if (connection_ != nullptr) return Fail(OutOfTurn("open", "came twice"));
    return Open(std::move(*opening));
  }
  if (connection_ == nullptr) return Fail(OutOfTurn("open", "must come first"));
  if (auto* message = std::get_if<TakenMessage>(&*taken_)) return Take(std::move(*message));
  TakenAnswer& answer = std::get<TakenAnswer>(*taken_);
  const absl::Status answered = connection_->Answer(answer.number, std::move(answer.reply));
  if (!answered.ok()) return Fail(answered);
  ReadNext();
}

void ConnectCall::Open(TakenOpening opening) {
  record_.NoteSubject(opening);
  core::MessageListener* const self = this;
  auto connection =
      backend_.messages->Connect(opening.interpreter, std::move(opening.options), self);
  if (!connection.ok()) return Fail(connection.status());
  connection_ = *std::move(connection);
  backend_.loop->Cancel(timer_);
  response_.mutable_opened()->set_post_credit_bytes(core::MessageConnection::kPostCreditBytes);
  Write();
  ScheduleKeepAlive();
  ReadNext();
}

void ConnectCall::Take(TakenMessage message) {
  const int64_t bytes = message.memory_bytes();
  if (auto memory = backend_.message_memory->Take(bytes); memory.ok()) {
    message.memory = *std::move(memory);
    return Post(std::move(message));
  }
  // Nothing else is read until there is room.
  auto waiting = std::make_shared<TakenMessage>(std::move(message));
  const absl::StatusOr<uint64_t> wait = backend_.message_memory->Await(
      bytes, [self = shared_from_this(), waiting](core::RequestMemory::Share share) {
        waiting->memory = std::move(share);
        self->backend_.loop->Post([self, waiting] {
          self->memory_wait_ = 0;
          if (!self->ended_) self->Post(std::move(*waiting));
        });
      });
  if (!wait.ok()) return Fail(wait.status());
  memory_wait_ = *wait;
}

void ConnectCall::Post(TakenMessage message) {
  const absl::Status posted = connection_->Post({.clone = std::move(message.clone),
                                                 .credit_bytes = message.credit_bytes,
                                                 .memory = std::move(message.memory)});
  // Where it has ended, that is told behind what waits for the client.
  if (!posted.ok() && connection_->end().ok()) return Fail(posted);
  is_past_credit_ = connection_->is_past_credit();
  if (!is_past_credit_) ReadNext();
  Pump();  // there may be credit to tell
}

void ConnectCall::OnPosted(const absl::Status& status) {
  if (ended_) return;
  if (!status.ok()) return Fail(status);
  if (is_past_credit_ && !connection_->is_past_credit()) {
    is_past_credit_ = false;
    ReadNext();
  }
  Pump();
}

void ConnectCall::ReadNext() {
  if (!ended_) VoteToRead();
}

// It goes on being told what comes.
void ConnectCall::OnReadsDone() {
  if (ended_) return;
  if (connection_ == nullptr) return Fail(OutOfTurn("open", "must come first"));
  connection_->CloseCalls();
}

// ---- to the client ------------------------------------------------------------------------------

void ConnectCall::OnMessages() {
  if (connection_ != nullptr && !connection_->end().ok()) Leave();
  Pump();
}

void ConnectCall::Pump() {
  // What cannot be told is answered, which may bring more to tell.
  if (is_pumping_) return;
  is_pumping_ = true;
  while (!writing_ && !ended_ && connection_ != nullptr) {
    std::optional<core::MessageEvent> event = connection_->Take();
    if (!event.has_value()) {
      if (connection_->AtEnd()) Fail(absl::Status(connection_->end()));
      break;
    }
    if (Tell(*std::move(event))) Write();
  }
  is_pumping_ = false;
}

bool ConnectCall::Tell(core::MessageEvent event) {
  response_ = v1::ConnectResponse();  // Clear() would keep the memory of a large one
  if (const auto* message = std::get_if<core::PostedMessage>(&event)) {
    auto value = sandbox::ValueFromClone(message->clone, sandbox::kResultCloneLimits);
    // It was checked by the same rules when it came.
    if (!value.ok()) value.emplace().set_clone_error(std::string(value.status().message()));
    *response_.mutable_message() = *std::move(value);
    return true;
  }
  if (const auto* cancelled = std::get_if<core::HostCallCancelled>(&event)) {
    response_.mutable_host_call_cancelled()->set_number(cancelled->number);
    return true;
  }
  if (const auto* credit = std::get_if<core::PostCredit>(&event)) {
    response_.mutable_post_credit()->set_bytes(credit->bytes);
    return true;
  }
  const core::HostCall& call = std::get<core::HostCall>(event);
  v1::HostCall& told = *response_.mutable_host_call();
  told.set_number(call.number);
  const absl::Status filled = FillHostCall(call.call, &told);
  if (filled.ok()) return true;
  (void)connection_->Answer(call.number,
                            core::FailureReply(internal::v1::MailboxFailure::REASON_REFUSED,
                                               std::string(filled.message())));
  return false;
}

void ConnectCall::Write() {
  writing_ = has_written_ = true;
  StartWrite(&response_);
}

void ConnectCall::OnWriteDone(bool ok) {
  backend_.loop->Enter([self = shared_from_this(), ok] {
    self->writing_ = false;
    if (self->ended_) {
      self->backend_.loop->Cancel(self->timer_);
      return self->Finish(ToGrpcStatus(self->end_));
    }
    if (!ok) return self->Fail(absl::CancelledError("the connection is broken"));
    self->Pump();
  });
}

void ConnectCall::ScheduleKeepAlive() {
  timer_ = backend_.loop->CallAfter(backend_.keep_alive_interval, [this] { OnQuiet(); });
}

void ConnectCall::OnQuiet() {
  if (!std::exchange(has_written_, false) && !writing_) {
    response_.mutable_keep_alive();
    Write();
  }
  ScheduleKeepAlive();
}

// ---- the end ------------------------------------------------------------------------------------

void ConnectCall::Leave() {
  if (std::exchange(is_leaving_, true)) return;
  backend_.loop->Cancel(timer_);
  timer_ = backend_.loop->CallAfter(backend_.leaving_patience, [this] {
    // Whoever gets this has read nothing of what is in flight.
    Fail(absl::DeadlineExceededError("what was left was not read in time"));
    context_->TryCancel();
  });
}

void ConnectCall::Fail(const absl::Status& status) {
  if (std::exchange(ended_, true)) return;
  record_.set_status(status);
  end_ = status;
  backend_.message_memory->CancelAwait(std::exchange(memory_wait_, 0));
  connection_.reset();
  if (writing_) return Leave();
  backend_.loop->Cancel(timer_);
  Finish(ToGrpcStatus(end_));
}

void ConnectCall::OnCancel() {
  backend_.loop->Post(
      [self = shared_from_this()] { self->Fail(absl::CancelledError("the caller has gone")); });
}

void ConnectCall::OnDone() {
  record_.End();
  // What it has belongs to the loop, so the call is let go of there.
  backend_.loop->Enter([self = std::move(self_)] {});
}

}  // namespace cloister::rpc
