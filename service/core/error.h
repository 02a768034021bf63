// Errors of the service channel: why Cloister could not run something, for programs as well as for
// people. An error is an absl::Status whose payloads are google.rpc details, keyed by their type
// URL; service/rpc copies each payload into an Any of the reply and decides nothing.

#ifndef CLOISTER_SERVICE_CORE_ERROR_H_
#define CLOISTER_SERVICE_CORE_ERROR_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cloister/v1/error_reason.pb.h"

namespace cloister::core {

inline constexpr char kErrorDomain[] = "cloister";

// A Status with the code that error_reason.proto gives `reason`, and ErrorInfo. `message` says what
// to do. `reason` must not be UNSPECIFIED.
absl::Status MakeError(v1::ErrorReason reason, std::string_view message);

// The same error with one more entry in ErrorInfo.metadata. `error` must come from MakeError.
absl::Status WithMetadata(absl::Status error, std::string_view key, std::string_view value);

// The same error with RetryInfo, in whole milliseconds.
absl::Status WithRetryDelay(absl::Status error, absl::Duration delay);

// The same error with a QuotaFailure: what is used up, and how much of it there is.
absl::Status WithQuotaFailure(absl::Status error, std::string_view subject,
                              std::string_view description);

struct FieldViolation {
  // As in google.rpc.BadRequest, e.g. "program.files[2].path".
  std::string field;
  // What is wrong and what would be right.
  std::string description;
};

// FIELD_INVALID with BadRequest; the message names the first violation. `violations` is not empty.
absl::Status FieldInvalidError(const std::vector<FieldViolation>& violations);

// What MakeError was given; UNSPECIFIED for a Status of other origin.
v1::ErrorReason ReasonOf(const absl::Status& status);

// ReasonOf as it goes into ErrorInfo and metrics: "POOL_EXHAUSTED"; "" where there is none.
std::string ReasonName(v1::ErrorReason reason);

// How many calls may wait for one and the same thing to happen. Callers that have gone are among them.
inline constexpr size_t kMaximumWaiters = 64;
// OVERLOADED where so many wait already.
absl::Status CheckRoomForWaiter(size_t waiting, size_t maximum = kMaximumWaiters);

std::optional<std::string> MetadataOf(const absl::Status& status, std::string_view key);
std::optional<absl::Duration> RetryDelayOf(const absl::Status& status);

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_ERROR_H_
