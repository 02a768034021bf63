#include "service/core/host_calls.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/foreign_text.h"
#include "service/core/error.h"
#include "service/core/mailbox_failure.h"

namespace cloister::core {
namespace {

using internal::v1::MailboxFailure;
using internal::v1::MailboxReply;

}  // namespace

void HostCalls::Begin(int64_t request, internal::v1::CallHost call, uint64_t posts) {
  if (!options_.functions.contains(call.function())) {
    context_.observer->OnHostCall(HostCallResult::kNotOffered, absl::ZeroDuration());
    return context_.answer(request,
                           FailureReply(MailboxFailure::REASON_NOT_FOUND,
                                        absl::StrCat("the client offers no function ",
                                                     sandbox::ForeignLine(call.function()))));
  }
  Call& begun = calls_[request];
  begun.call = std::move(call);
  begun.posts = posts;
  begun.since = context_.loop->Now();
  begun.timer = context_.loop->CallAfter(options_.timeout, [this, request] { OnTimeout(request); });
  waiting_.push_back(request);
  TellReady();
}

std::optional<HostCallCancelled> HostCalls::TakeCancelled() {
  if (untold_.empty()) return std::nullopt;
  const HostCallCancelled cancelled{untold_.front()};
  untold_.pop_front();
  return cancelled;
}

std::optional<HostCall> HostCalls::Take(uint64_t posts) {
  if (waiting_.empty() || open_.size() >= static_cast<size_t>(options_.maximum)) {
    return std::nullopt;
  }
  const int64_t request = waiting_.front();
  Call& call = calls_.at(request);
  if (call.posts > posts) return std::nullopt;
  waiting_.pop_front();
  call.number = ++last_number_;
  open_.emplace(call.number, request);
  return HostCall{call.number, std::move(call.call)};
}

absl::Status HostCalls::Answer(int64_t number, MailboxReply reply) {
  const auto open = open_.find(number);
  if (open == open_.end()) {
    const bool has_crossed = cancelled_.erase(number) > 0 || (number > 0 && number <= forgotten_);
    if (has_crossed) return absl::OkStatus();
    return WithMetadata(MakeError(v1::ERROR_REASON_HOST_CALL_UNKNOWN,
                                  absl::StrCat("nobody waits for an answer to call ", number)),
                        "call", absl::StrCat(number));
  }
  const int64_t request = open->second;
  open_.erase(open);
  const Call call = std::move(calls_.extract(request).mapped());
  context_.loop->Cancel(call.timer);
  Count(reply.has_value() ? HostCallResult::kReturned : HostCallResult::kRaised, call);
  context_.answer(request, std::move(reply));
  if (!waiting_.empty()) TellReady();
  return absl::OkStatus();
}

void HostCalls::OnTimeout(int64_t request) {
  const Call call = Cancel(request);
  Count(HostCallResult::kTimedOut, call);
  context_.answer(request, FailureReply(MailboxFailure::REASON_ENDED,
                                        absl::StrCat("the client did not answer within ",
                                                     absl::FormatDuration(options_.timeout))));
  TellReady();
}

void HostCalls::Abandon(int64_t request) {
  if (!calls_.contains(request)) return;
  Count(HostCallResult::kCancelled, Cancel(request));
  TellReady();
}

HostCalls::Call HostCalls::Cancel(int64_t request) {
  Call call = std::move(calls_.extract(request).mapped());
  context_.loop->Cancel(call.timer);
  if (call.number == 0) {
    std::erase(waiting_, request);
    return call;
  }
  open_.erase(call.number);
  untold_.push_back(call.number);
  cancelled_.insert(call.number);
  if (cancelled_.size() > kRememberedCancellations) {
    forgotten_ = *cancelled_.begin();
    cancelled_.erase(cancelled_.begin());
  }
  return call;
}

void HostCalls::Close(const std::string& why) {
  options_.functions.clear();
  const auto calls = std::exchange(calls_, {});
  Drop();
  for (const auto& [request, call] : calls) {
    context_.loop->Cancel(call.timer);
    Count(HostCallResult::kClosed, call);
    context_.answer(request, FailureReply(MailboxFailure::REASON_CLOSED, why));
  }
}

void HostCalls::Drop() {
  options_.functions.clear();
  for (const auto& [request, call] : std::exchange(calls_, {})) {
    context_.loop->Cancel(call.timer);
    Count(HostCallResult::kCancelled, call);
  }
  waiting_.clear();
  open_.clear();
  untold_.clear();
}

void HostCalls::TellReady() {
  const auto on_ready = context_.on_ready;  // this may be destroyed
  on_ready();
}

void HostCalls::Count(HostCallResult result, const Call& call) {
  context_.observer->OnHostCall(result, context_.loop->Now() - call.since);
}

}  // namespace cloister::core
