#include "service/core/error.h"

#include <gtest/gtest.h>

#include <string>

#include "google/rpc/error_details.pb.h"

namespace cloister::core {
namespace {

TEST(ErrorTest, EveryReasonHasTheCodeItsCommentPromises) {
  const std::pair<v1::ErrorReason, absl::StatusCode> promises[] = {
      {v1::ERROR_REASON_FIELD_INVALID, absl::StatusCode::kInvalidArgument},
      {v1::ERROR_REASON_TEMPLATE_UNKNOWN, absl::StatusCode::kNotFound},
      {v1::ERROR_REASON_REQUEST_ID_REUSED, absl::StatusCode::kInvalidArgument},
      {v1::ERROR_REASON_POOL_EXHAUSTED, absl::StatusCode::kUnavailable},
      {v1::ERROR_REASON_OVERLOADED, absl::StatusCode::kUnavailable},
      {v1::ERROR_REASON_SERVER_DRAINING, absl::StatusCode::kUnavailable},
      {v1::ERROR_REASON_NOT_STARTED, absl::StatusCode::kDeadlineExceeded},
      {v1::ERROR_REASON_SANDBOX_SETUP_FAILED, absl::StatusCode::kInternal},
      {v1::ERROR_REASON_EXECUTION_NOT_FOUND, absl::StatusCode::kNotFound},
      {v1::ERROR_REASON_EVENTS_EXPIRED, absl::StatusCode::kOutOfRange},
      {v1::ERROR_REASON_SANDBOX_NOT_FOUND, absl::StatusCode::kNotFound},
      {v1::ERROR_REASON_SANDBOX_EXPIRED, absl::StatusCode::kNotFound},
      {v1::ERROR_REASON_SANDBOX_LOST, absl::StatusCode::kFailedPrecondition},
      {v1::ERROR_REASON_SANDBOX_COUNT_EXCEEDED, absl::StatusCode::kResourceExhausted},
      {v1::ERROR_REASON_EXECUTION_QUEUE_FULL, absl::StatusCode::kResourceExhausted},
      {v1::ERROR_REASON_INTERPRETER_NOT_FOUND, absl::StatusCode::kNotFound},
      {v1::ERROR_REASON_INTERPRETER_BUSY, absl::StatusCode::kAborted},
      {v1::ERROR_REASON_INPUT_NOT_EXPECTED, absl::StatusCode::kFailedPrecondition},
      {v1::ERROR_REASON_FORK_UNSUPPORTED, absl::StatusCode::kFailedPrecondition},
      {v1::ERROR_REASON_CREDENTIALS_MISSING, absl::StatusCode::kUnauthenticated},
      {v1::ERROR_REASON_CREDENTIALS_INVALID, absl::StatusCode::kUnauthenticated},
      {v1::ERROR_REASON_CREDENTIALS_EXPIRED, absl::StatusCode::kUnauthenticated},
      {v1::ERROR_REASON_RATE_EXCEEDED, absl::StatusCode::kResourceExhausted},
      {v1::ERROR_REASON_CONCURRENCY_EXCEEDED, absl::StatusCode::kResourceExhausted},
      {v1::ERROR_REASON_TENANT_MEMORY_EXCEEDED, absl::StatusCode::kResourceExhausted},
      {v1::ERROR_REASON_FORK_REFUSED, absl::StatusCode::kFailedPrecondition},
      {v1::ERROR_REASON_SNAPSHOT_NOT_FOUND, absl::StatusCode::kNotFound},
      {v1::ERROR_REASON_SNAPSHOT_COUNT_EXCEEDED, absl::StatusCode::kResourceExhausted},
      {v1::ERROR_REASON_LOOKUP_FAILED, absl::StatusCode::kFailedPrecondition},
      {v1::ERROR_REASON_INTERPRETER_LOST, absl::StatusCode::kFailedPrecondition},
      {v1::ERROR_REASON_INTERPRETER_EXISTS, absl::StatusCode::kAlreadyExists},
      {v1::ERROR_REASON_INTERPRETER_COUNT_EXCEEDED, absl::StatusCode::kResourceExhausted},
      {v1::ERROR_REASON_PROFILE_UNSUPPORTED, absl::StatusCode::kFailedPrecondition},
      {v1::ERROR_REASON_IMPORT_FAILED, absl::StatusCode::kFailedPrecondition},
      {v1::ERROR_REASON_FILE_NOT_FOUND, absl::StatusCode::kNotFound},
      {v1::ERROR_REASON_FILE_EXISTS, absl::StatusCode::kAlreadyExists},
      {v1::ERROR_REASON_PATH_REFUSED, absl::StatusCode::kFailedPrecondition},
      {v1::ERROR_REASON_WORKSPACE_FULL, absl::StatusCode::kResourceExhausted},
      {v1::ERROR_REASON_FILES_INTERRUPTED, absl::StatusCode::kUnavailable},
      {v1::ERROR_REASON_INBOX_FULL, absl::StatusCode::kResourceExhausted},
      {v1::ERROR_REASON_ALREADY_CONNECTED, absl::StatusCode::kAlreadyExists},
      {v1::ERROR_REASON_HOST_CALL_UNKNOWN, absl::StatusCode::kFailedPrecondition},
  };
  EXPECT_EQ(std::size(promises), static_cast<size_t>(v1::ErrorReason_ARRAYSIZE) - 1)
      << "a new reason needs its code here and in error.cc";
  for (const auto& [reason, code] : promises) {
    EXPECT_EQ(MakeError(reason, "why").code(), code) << ReasonName(reason);
  }
}

TEST(ErrorTest, RetryDelaysAreRoundedUpToWholeMilliseconds) {
  const absl::Status error = WithRetryDelay(MakeError(v1::ERROR_REASON_OVERLOADED, "full"),
                                            absl::Microseconds(1500) + absl::Nanoseconds(7));
  EXPECT_EQ(RetryDelayOf(error), absl::Milliseconds(2));
}

TEST(ErrorTest, CarriesReasonMetadataAndRetryDelay) {
  const absl::Status error = WithRetryDelay(
      WithMetadata(MakeError(v1::ERROR_REASON_OVERLOADED, "full; retry later"), "queue", "main"),
      absl::Milliseconds(250));
  EXPECT_EQ(error.message(), "full; retry later");
  EXPECT_EQ(ReasonOf(error), v1::ERROR_REASON_OVERLOADED);
  EXPECT_EQ(ReasonName(ReasonOf(error)), "OVERLOADED");
  EXPECT_EQ(MetadataOf(error, "queue"), "main");
  EXPECT_EQ(MetadataOf(error, "other"), std::nullopt);
  EXPECT_EQ(RetryDelayOf(error), absl::Milliseconds(250));
}

TEST(ErrorTest, StatusOfOtherOriginHasNoReason) {
  EXPECT_EQ(ReasonOf(absl::InternalError("x")), v1::ERROR_REASON_UNSPECIFIED);
  EXPECT_EQ(ReasonName(v1::ERROR_REASON_UNSPECIFIED), "");
  EXPECT_EQ(RetryDelayOf(absl::InternalError("x")), std::nullopt);
}

TEST(ErrorTest, InvalidFieldsAreAllNamed) {
  const absl::Status error =
      FieldInvalidError({{"limits.wall_time", "is negative"}, {"program.code", "is too long"}});
  EXPECT_EQ(ReasonOf(error), v1::ERROR_REASON_FIELD_INVALID);
  EXPECT_EQ(error.message(), "limits.wall_time: is negative");
  const auto payload = error.GetPayload("type.googleapis.com/google.rpc.BadRequest");
  ASSERT_TRUE(payload.has_value());
  google::rpc::BadRequest details;
  ASSERT_TRUE(details.ParseFromString(std::string(*payload)));
  ASSERT_EQ(details.field_violations_size(), 2);
  EXPECT_EQ(details.field_violations(1).field(), "program.code");
}

}  // namespace
}  // namespace cloister::core
