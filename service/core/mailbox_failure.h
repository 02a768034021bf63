// Why an interpreter's code gets nothing of what it asked for.

#ifndef CLOISTER_SERVICE_CORE_MAILBOX_FAILURE_H_
#define CLOISTER_SERVICE_CORE_MAILBOX_FAILURE_H_

#include <string_view>

#include "absl/status/status.h"
#include "cloister/internal/v1/mailbox.pb.h"
#include "service/core/error.h"

namespace cloister::core {

inline internal::v1::MailboxReply FailureReply(internal::v1::MailboxFailure::Reason reason, std::string_view message) {
  internal::v1::MailboxReply reply;
  reply.mutable_failure()->set_reason(reason);
  reply.mutable_failure()->set_message(message.data(), message.size());
  return reply;
}

// What clients are told by an error, told to code inside.
inline internal::v1::MailboxReply FailureReply(const absl::Status& status) {
  using internal::v1::MailboxFailure;
  const auto reason = [&status] {
    switch (ReasonOf(status)) {
      case v1::ERROR_REASON_INTERPRETER_NOT_FOUND:
      case v1::ERROR_REASON_SANDBOX_NOT_FOUND:
        return MailboxFailure::REASON_NOT_FOUND;
      case v1::ERROR_REASON_INTERPRETER_LOST:
      case v1::ERROR_REASON_SANDBOX_LOST:
      case v1::ERROR_REASON_SANDBOX_EXPIRED:
        return MailboxFailure::REASON_CLOSED;
      case v1::ERROR_REASON_EXECUTION_QUEUE_FULL:
      case v1::ERROR_REASON_INTERPRETER_COUNT_EXCEEDED:
      case v1::ERROR_REASON_OVERLOADED:
        return MailboxFailure::REASON_TOO_MANY;
      case v1::ERROR_REASON_FIELD_INVALID:
      case v1::ERROR_REASON_INTERPRETER_EXISTS:
      case v1::ERROR_REASON_PROFILE_UNSUPPORTED:
      case v1::ERROR_REASON_IMPORT_FAILED:
        return MailboxFailure::REASON_REFUSED;
      default:
        return MailboxFailure::REASON_ENDED;
    }
  }();
  const absl::string_view message = status.message();
  return FailureReply(reason, std::string_view(message.data(), message.size()));
}

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_MAILBOX_FAILURE_H_
