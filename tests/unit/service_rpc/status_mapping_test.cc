#include "service/rpc/status_mapping.h"

#include <string>

#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"
#include "service/core/error.h"

namespace cloister::rpc {
namespace {

google::rpc::Status DetailsOf(const grpc::Status& status) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  return details;
}

// The detail of type Detail; fails the test where there is none.
template <typename Detail>
Detail Find(const grpc::Status& status) {
  Detail detail;
  const google::rpc::Status details = DetailsOf(status);
  for (const auto& any : details.details()) {
    if (any.Is<Detail>()) {
      EXPECT_TRUE(any.UnpackTo(&detail));
      return detail;
    }
  }
  ADD_FAILURE() << "no " << Detail::descriptor()->full_name();
  return detail;
}

TEST(StatusMappingTest, OkIsOk) { EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok()); }

TEST(StatusMappingTest, CarriesReasonMetadataAndRetryDelay) {
  const absl::Status error = core::WithRetryDelay(
      core::WithMetadata(core::MakeError(v1::ERROR_REASON_POOL_EXHAUSTED, "try later"), "key", "v"),
      absl::Milliseconds(250));
  const grpc::Status status = ToGrpcStatus(error);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "try later");
  EXPECT_EQ(DetailsOf(status).code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(DetailsOf(status).message(), "try later");
  const auto info = Find<google::rpc::ErrorInfo>(status);
  EXPECT_EQ(info.reason(), "POOL_EXHAUSTED");
  EXPECT_EQ(info.domain(), "cloister");
  EXPECT_EQ(info.metadata().at("key"), "v");
  EXPECT_EQ(Find<google::rpc::RetryInfo>(status).retry_delay().nanos(), 250'000'000);
}

TEST(StatusMappingTest, CarriesFieldViolations) {
  const grpc::Status status =
      ToGrpcStatus(core::FieldInvalidError({{"a.b", "is bad"}, {"c", "too"}}));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Find<google::rpc::ErrorInfo>(status).reason(), "FIELD_INVALID");
  const auto request = Find<google::rpc::BadRequest>(status);
  ASSERT_EQ(request.field_violations_size(), 2);
  EXPECT_EQ(request.field_violations(0).field(), "a.b");
  EXPECT_EQ(request.field_violations(1).description(), "too");
}

// Which code that is, error_test.cc of the core says.
TEST(StatusMappingTest, EveryReasonKeepsItsCode) {
  for (int i = 1; i < v1::ErrorReason_ARRAYSIZE; ++i) {
    const absl::Status error = core::MakeError(static_cast<v1::ErrorReason>(i), "m");
    EXPECT_EQ(static_cast<int>(ToGrpcStatus(error).error_code()), static_cast<int>(error.code()))
        << core::ReasonName(core::ReasonOf(error));
  }
}

TEST(StatusMappingTest, HidesWhatWasNotMeantForCallers) {
  const grpc::Status status = ToGrpcStatus(absl::UnavailableError("open /secret/path: EIO"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_THAT(status.error_message(), ::testing::Not(::testing::HasSubstr("secret")));
  EXPECT_EQ(Find<google::rpc::ErrorInfo>(status).reason(), "SANDBOX_SETUP_FAILED");
}

TEST(StatusMappingTest, CancellationStaysCancellation) {
  EXPECT_EQ(ToGrpcStatus(absl::CancelledError("gone")).error_code(), grpc::StatusCode::CANCELLED);
}

}  // namespace
}  // namespace cloister::rpc
