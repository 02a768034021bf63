// A failed call taken apart: the google.rpc details that Cloister puts beside every non-OK status.

#ifndef CLOISTER_CLIENT_SERVICE_ERROR_H_
#define CLOISTER_CLIENT_SERVICE_ERROR_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/support/status.h"

namespace cloister::client {

struct FieldViolation {
  std::string field;
  std::string description;
};

struct ServiceError {
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string message;
  // Name of a cloister.v1.ErrorReason without prefix. Empty where Cloister did not answer at all:
  // the status is the transport's.
  std::string reason;
  std::map<std::string, std::string> metadata;
  std::optional<absl::Duration> retry_delay;
  std::vector<FieldViolation> field_violations;
  std::vector<std::string> quota_violations;
};

// Understands absent and damaged details: what cannot be read is left out.
ServiceError ParseServiceError(const grpc::Status& status);
// Of a status that ToStatus made.
ServiceError ParseServiceError(const absl::Status& status);

// The same code and message; the details are a payload, for ParseServiceError.
absl::Status ToStatus(const grpc::Status& status);

// One readable line per fact, the first of them the cause, no newline at the end. `address` names
// the server in the text.
std::string ErrorText(const ServiceError& error, const std::string& address);

}  // namespace cloister::client

#endif  // CLOISTER_CLIENT_SERVICE_ERROR_H_
