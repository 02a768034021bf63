#include "service/core/error.h"

#include <cstdint>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "service/base/proto_time.h"

namespace cloister::core {
namespace {

constexpr absl::string_view kReasonPrefix = "ERROR_REASON_";

template <typename Detail>
std::string TypeUrl() {
  return absl::StrCat("type.googleapis.com/", Detail::descriptor()->full_name());
}

template <typename Detail>
void SetDetail(absl::Status& status, const Detail& detail) {
  const std::string bytes = detail.SerializeAsString();
  // As a view: the constructor from std::string is a template, whose name Debian 13's compilers do not
  // agree about.
  status.SetPayload(TypeUrl<Detail>(), absl::Cord(absl::string_view(bytes)));
}

template <typename Detail>
std::optional<Detail> GetDetail(const absl::Status& status) {
  const auto payload = status.GetPayload(TypeUrl<Detail>());
  Detail detail;
  if (!payload || !detail.ParseFromString(std::string(*payload))) return std::nullopt;
  return detail;
}

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

// The codes that error_reason.proto promises.
absl::StatusCode CodeOf(v1::ErrorReason reason) {
  switch (reason) {
    case v1::ERROR_REASON_FIELD_INVALID:
    case v1::ERROR_REASON_REQUEST_ID_REUSED:
      return absl::StatusCode::kInvalidArgument;
    case v1::ERROR_REASON_TEMPLATE_UNKNOWN:
    case v1::ERROR_REASON_EXECUTION_NOT_FOUND:
    case v1::ERROR_REASON_SANDBOX_NOT_FOUND:
    case v1::ERROR_REASON_SANDBOX_EXPIRED:
    case v1::ERROR_REASON_INTERPRETER_NOT_FOUND:
    case v1::ERROR_REASON_SNAPSHOT_NOT_FOUND:
    case v1::ERROR_REASON_FILE_NOT_FOUND:
      return absl::StatusCode::kNotFound;
    case v1::ERROR_REASON_POOL_EXHAUSTED:
    case v1::ERROR_REASON_OVERLOADED:
    case v1::ERROR_REASON_SERVER_DRAINING:
    case v1::ERROR_REASON_FILES_INTERRUPTED:
      return absl::StatusCode::kUnavailable;
    case v1::ERROR_REASON_SANDBOX_LOST:
    case v1::ERROR_REASON_INPUT_NOT_EXPECTED:
    case v1::ERROR_REASON_FORK_UNSUPPORTED:
    case v1::ERROR_REASON_FORK_REFUSED:
    case v1::ERROR_REASON_LOOKUP_FAILED:
    case v1::ERROR_REASON_INTERPRETER_LOST:
    case v1::ERROR_REASON_PROFILE_UNSUPPORTED:
    case v1::ERROR_REASON_IMPORT_FAILED:
    case v1::ERROR_REASON_PATH_REFUSED:
    case v1::ERROR_REASON_HOST_CALL_UNKNOWN:
      return absl::StatusCode::kFailedPrecondition;
    case v1::ERROR_REASON_SANDBOX_COUNT_EXCEEDED:
    case v1::ERROR_REASON_EXECUTION_QUEUE_FULL:
    case v1::ERROR_REASON_SNAPSHOT_COUNT_EXCEEDED:
    case v1::ERROR_REASON_INTERPRETER_COUNT_EXCEEDED:
    case v1::ERROR_REASON_WORKSPACE_FULL:
    case v1::ERROR_REASON_INBOX_FULL:
    case v1::ERROR_REASON_RATE_EXCEEDED:
    case v1::ERROR_REASON_CONCURRENCY_EXCEEDED:
    case v1::ERROR_REASON_TENANT_MEMORY_EXCEEDED:
      return absl::StatusCode::kResourceExhausted;
    case v1::ERROR_REASON_CREDENTIALS_MISSING:
    case v1::ERROR_REASON_CREDENTIALS_INVALID:
    case v1::ERROR_REASON_CREDENTIALS_EXPIRED:
      return absl::StatusCode::kUnauthenticated;
    case v1::ERROR_REASON_INTERPRETER_EXISTS:
    case v1::ERROR_REASON_FILE_EXISTS:
    case v1::ERROR_REASON_ALREADY_CONNECTED:
      return absl::StatusCode::kAlreadyExists;
    case v1::ERROR_REASON_INTERPRETER_BUSY:
      return absl::StatusCode::kAborted;
    case v1::ERROR_REASON_NOT_STARTED:
      return absl::StatusCode::kDeadlineExceeded;
    case v1::ERROR_REASON_EVENTS_EXPIRED:
      return absl::StatusCode::kOutOfRange;
    case v1::ERROR_REASON_SANDBOX_SETUP_FAILED:
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::Status MakeError(v1::ErrorReason reason, std::string_view message) {
  absl::Status status(CodeOf(reason), View(message));
  google::rpc::ErrorInfo info;
  info.set_reason(ReasonName(reason));
  info.set_domain(kErrorDomain);
  SetDetail(status, info);
  return status;
}

absl::Status WithMetadata(absl::Status error, std::string_view key, std::string_view value) {
  auto info = GetDetail<google::rpc::ErrorInfo>(error).value_or(google::rpc::ErrorInfo());
  (*info.mutable_metadata())[std::string(key)] = std::string(value);
  SetDetail(error, info);
  return error;
}

absl::Status WithRetryDelay(absl::Status error, absl::Duration delay) {
  google::rpc::RetryInfo info;
  // Callers read it, people too: nobody needs nanoseconds.
  *info.mutable_retry_delay() = base::ToProto(absl::Ceil(delay, absl::Milliseconds(1)));
  SetDetail(error, info);
  return error;
}

absl::Status WithQuotaFailure(absl::Status error, std::string_view subject,
                              std::string_view description) {
  google::rpc::QuotaFailure failure;
  google::rpc::QuotaFailure::Violation& violation = *failure.add_violations();
  violation.set_subject(std::string(subject));
  violation.set_description(std::string(description));
  SetDetail(error, failure);
  return error;
}

absl::Status FieldInvalidError(const std::vector<FieldViolation>& violations) {
  const FieldViolation& first = violations.front();
  absl::Status error =
      MakeError(v1::ERROR_REASON_FIELD_INVALID, absl::StrCat(first.field, ": ", first.description));
  google::rpc::BadRequest details;
  for (const FieldViolation& violation : violations) {
    google::rpc::BadRequest::FieldViolation& detail = *details.add_field_violations();
    detail.set_field(violation.field);
    detail.set_description(violation.description);
  }
  SetDetail(error, details);
  return error;
}

v1::ErrorReason ReasonOf(const absl::Status& status) {
  const auto info = GetDetail<google::rpc::ErrorInfo>(status);
  v1::ErrorReason reason = v1::ERROR_REASON_UNSPECIFIED;
  if (info && info->domain() == kErrorDomain) {
    v1::ErrorReason_Parse(absl::StrCat(kReasonPrefix, info->reason()), &reason);
  }
  return reason;
}

std::string ReasonName(v1::ErrorReason reason) {
  if (reason == v1::ERROR_REASON_UNSPECIFIED) return "";
  return v1::ErrorReason_Name(reason).substr(kReasonPrefix.size());
}

absl::Status CheckRoomForWaiter(size_t waiting, size_t maximum) {
  if (waiting < maximum) return absl::OkStatus();
  return WithRetryDelay(
      MakeError(v1::ERROR_REASON_OVERLOADED,
                absl::StrCat(waiting, " calls wait for the same already; retry when it is over")),
      absl::Seconds(1));
}

std::optional<std::string> MetadataOf(const absl::Status& status, std::string_view key) {
  const auto info = GetDetail<google::rpc::ErrorInfo>(status);
  if (!info) return std::nullopt;
  const auto entry = info->metadata().find(std::string(key));
  if (entry == info->metadata().end()) return std::nullopt;
  return entry->second;
}

std::optional<absl::Duration> RetryDelayOf(const absl::Status& status) {
  const auto info = GetDetail<google::rpc::RetryInfo>(status);
  if (!info) return std::nullopt;
  return base::FromProto(info->retry_delay());
}

}  // namespace cloister::core
