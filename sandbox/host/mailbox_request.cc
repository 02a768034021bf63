#include "sandbox/host/mailbox_request.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/foreign_text.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/clone/check.h"
#include "sandbox/host/guest_frame.h"

namespace cloister::sandbox {
namespace {

using internal::v1::MailboxRequest;

// As mailbox.proto says.
constexpr size_t kMaxMessageBytes = size_t{4} << 10;

absl::Status CheckName(std::string_view name, const char* what) {
  if (name.empty()) return absl::InvalidArgumentError(absl::StrCat("no ", what, " is named"));
  if (name.size() <= kMaxMailboxNameBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the name of the ", what, " has ", name.size(),
                                                 " bytes; at most ", kMaxMailboxNameBytes,
                                                 " are allowed"));
}

// Empty: there is none.
absl::Status CheckRoot(std::string_view clone, CloneTag root, const CloneLimits& limits) {
  if (clone.empty()) return absl::OkStatus();
  CLOISTER_ASSIGN_OR_RETURN(const CheckedClone checked,
                            CheckClone(clone, limits, CloneBuffers::kInline));
  const auto tag = static_cast<uint8_t>(checked.parts.value.front()) & ~kCloneNumbered;
  if (tag == static_cast<uint8_t>(root)) return absl::OkStatus();
  return absl::InvalidArgumentError("arguments that are no TUPLE, or no DICT");
}

template <typename Call>
absl::Status CheckArguments(const Call& call, const CloneLimits& limits) {
  CLOISTER_RETURN_IF_ERROR(CheckRoot(call.arguments(), CloneTag::kTuple, limits));
  return CheckRoot(call.keyword_arguments(), CloneTag::kDict, limits);
}

absl::Status CheckCall(const internal::v1::CallInterpreter& call) {
  CLOISTER_RETURN_IF_ERROR(CheckName(call.interpreter(), "interpreter"));
  if (call.has_source()) {
    if (call.source().size() > kMaxMailboxSourceBytes) {
      return absl::InvalidArgumentError("the function's source is longer than 1 MiB");
    }
  } else {
    CLOISTER_RETURN_IF_ERROR(CheckName(call.name(), "function"));
  }
  return CheckArguments(call, kValueCloneLimits);
}

}  // namespace

absl::StatusOr<MailboxRequest> ParseMailboxRequest(std::string_view bytes) {
  MailboxRequest request;
  CLOISTER_RETURN_IF_ERROR(ParseGuestMessage(bytes, &request));
  if (request.request_case() == MailboxRequest::REQUEST_NOT_SET) {
    return absl::DataLossError("a request that asks for nothing");
  }
  return request;
}

absl::Status CheckMailboxRequest(const MailboxRequest& request) {
  switch (request.request_case()) {
    case MailboxRequest::kOpenPort:
      return CheckName(request.open_port().interpreter(), "interpreter");
    case MailboxRequest::kCallHost:
      CLOISTER_RETURN_IF_ERROR(CheckName(request.call_host().function(), "function"));
      return CheckArguments(request.call_host(), kResultCloneLimits);
    case MailboxRequest::kCallInterpreter:
      return CheckCall(request.call_interpreter());
    case MailboxRequest::kOpenChannel:
      return CheckName(request.open_channel().name(), "channel");
    case MailboxRequest::kRemoveChannel:
      return CheckName(request.remove_channel().name(), "channel");
    case MailboxRequest::kEndSpawned:
      return CheckName(request.end_spawned().interpreter(), "interpreter");
    default:
      return absl::OkStatus();
  }
}

absl::StatusOr<std::string> TakePost(std::string_view bytes) {
  internal::v1::Post post;
  CLOISTER_RETURN_IF_ERROR(ParseGuestMessage(bytes, &post));
  const auto checked = CheckClone(post.value(), kResultCloneLimits, CloneBuffers::kInline);
  if (!checked.ok()) {
    return absl::DataLossError(absl::StrCat("a broken clone: ", checked.status().message()));
  }
  return std::move(*post.mutable_value());
}

internal::v1::MailboxReply MailboxFailureOf(internal::v1::MailboxFailure::Reason reason,
                                            std::string_view message) {
  internal::v1::MailboxReply reply;
  reply.mutable_failure()->set_reason(reason);
  reply.mutable_failure()->set_message(ForeignLine(std::string(message), kMaxMessageBytes));
  return reply;
}

}  // namespace cloister::sandbox
