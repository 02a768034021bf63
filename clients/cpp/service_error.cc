#include "cloister/client/service_error.h"

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace cloister::client {
namespace {

void AddDetail(const google::protobuf::Any& detail, ServiceError* error) {
  google::rpc::ErrorInfo info;
  google::rpc::RetryInfo retry;
  google::rpc::BadRequest bad_request;
  google::rpc::QuotaFailure quota;
  if (detail.UnpackTo(&info)) {
    error->reason = info.reason();
    error->metadata.insert(info.metadata().begin(), info.metadata().end());
  } else if (detail.UnpackTo(&retry)) {
    error->retry_delay = absl::Seconds(retry.retry_delay().seconds()) +
                         absl::Nanoseconds(retry.retry_delay().nanos());
  } else if (detail.UnpackTo(&bad_request)) {
    for (const auto& violation : bad_request.field_violations()) {
      error->field_violations.push_back({violation.field(), violation.description()});
    }
  } else if (detail.UnpackTo(&quota)) {
    for (const auto& violation : quota.violations()) {
      error->quota_violations.push_back(
          absl::StrCat(violation.subject(), ": ", violation.description()));
    }
  }
}

// gRPC says "failed to connect to all addresses; last error: UNKNOWN: unix:/x: No such file or
// directory".
absl::string_view LastPart(absl::string_view message) {
  const size_t colon = message.rfind(": ");
  return colon == absl::string_view::npos ? message : message.substr(colon + 2);
}

absl::string_view Cause(absl::string_view message) {
  const absl::string_view last = LastPart(message);
  // What gRPC says where a connection is made and nothing comes of it.
  return last == "OK" || last == "Failed parsing HTTP/2" ? "what listens there does not speak gRPC"
                                                         : last;
}

absl::string_view Remedy(absl::string_view message) {
  return absl::EndsWith(message, "Permission denied")
             ? "run this as root, or as a member of the service user's group"
             : "start cloisterd, or name its address with --server or CLOISTER_SERVER";
}

std::string TransportErrorText(const ServiceError& error, const std::string& address) {
  switch (error.code) {
    case grpc::StatusCode::UNAVAILABLE:
      return absl::StrCat("cannot reach the server at ", address, ": ", Cause(error.message), "\n",
                          Remedy(error.message));
    case grpc::StatusCode::UNIMPLEMENTED:
      return absl::StrCat("the server at ", address,
                          " does not know this call: it is no cloisterd, or an older one");
    case grpc::StatusCode::CANCELLED:
      return "the call was cancelled";
    default:
      return absl::StrCat(error.message.empty() ? "the call failed" : error.message,
                          " (gRPC status ", static_cast<int>(error.code), " from ", address, ")");
  }
}

// A google.rpc.Status, as gRPC carries it.
constexpr char kDetailsUrl[] = "type.googleapis.com/google.rpc.Status";

}  // namespace

ServiceError ParseServiceError(const absl::Status& status) {
  const absl::optional<absl::Cord> details = status.GetPayload(kDetailsUrl);
  return ParseServiceError(grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                                        std::string(status.message()),
                                        details.has_value() ? std::string(*details) : ""));
}

absl::Status ToStatus(const grpc::Status& status) {
  absl::Status same(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  if (!status.ok() && !status.error_details().empty()) {
    same.SetPayload(kDetailsUrl, absl::Cord(status.error_details()));
  }
  return same;
}

ServiceError ParseServiceError(const grpc::Status& status) {
  ServiceError error;
  error.code = status.error_code();
  error.message = status.error_message();
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return error;
  for (const auto& detail : details.details()) AddDetail(detail, &error);
  return error;
}

std::string ErrorText(const ServiceError& error, const std::string& address) {
  if (error.reason.empty()) return TransportErrorText(error, address);
  std::string text =
      absl::StrCat(error.message.empty() ? "refused" : error.message, " [", error.reason, "]");
  for (const FieldViolation& violation : error.field_violations) {
    // Where the message already is the one violation, twice would not be clearer.
    const std::string line = absl::StrCat(violation.field, ": ", violation.description);
    if (absl::string_view(error.message).find(line) != absl::string_view::npos) continue;
    absl::StrAppend(&text, "\n", line);
  }
  for (const std::string& violation : error.quota_violations)
    absl::StrAppend(&text, "\n", violation);
  const auto known = error.metadata.find("known");
  if (known != error.metadata.end() && !absl::StrContains(error.message, known->second)) {
    absl::StrAppend(&text, "\nknown: ", known->second);
  }
  if (error.retry_delay)
    absl::StrAppend(&text, "\ntry again in ", absl::FormatDuration(*error.retry_delay));
  return text;
}

}  // namespace cloister::client
