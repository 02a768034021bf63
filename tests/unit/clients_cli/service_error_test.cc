#include "cloister/client/service_error.h"

#include <cstdlib>

#include "cloister/client/channel.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "gtest/gtest.h"
#include "tests/unit/clients_cli/fake_execution_service.h"

namespace cloister::client {
namespace {

using testing::HasSubstr;

std::string TextOf(const grpc::Status& status) {
  return ErrorText(ParseServiceError(status), "unix:/x");
}

TEST(ServiceErrorTest, TellsReasonAndWhenToRetry) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_nanos(250'000'000);
  const grpc::Status status =
      StatusWithDetails(grpc::StatusCode::UNAVAILABLE, "the queue is full", "OVERLOADED", {&retry});
  const ServiceError error = ParseServiceError(status);
  EXPECT_EQ(error.reason, "OVERLOADED");
  EXPECT_EQ(error.retry_delay, absl::Milliseconds(250));
  EXPECT_EQ(TextOf(status), "the queue is full [OVERLOADED]\ntry again in 250ms");
}

TEST(ServiceErrorTest, ListsWrongFieldsOnce) {
  google::rpc::BadRequest bad;
  auto* violation = bad.add_field_violations();
  violation->set_field("limits.wall_time");
  violation->set_description("above the maximum of 300s");
  EXPECT_EQ(TextOf(StatusWithDetails(grpc::StatusCode::INVALID_ARGUMENT, "bad request",
                                     "FIELD_INVALID", {&bad})),
            "bad request [FIELD_INVALID]\nlimits.wall_time: above the maximum of 300s");
  EXPECT_EQ(TextOf(StatusWithDetails(grpc::StatusCode::INVALID_ARGUMENT,
                                     "limits.wall_time: above the maximum of 300s", "FIELD_INVALID",
                                     {&bad})),
            "limits.wall_time: above the maximum of 300s [FIELD_INVALID]");
}

TEST(ServiceErrorTest, TakesAnUnreachableServerForWhatItIs) {
  const std::string text = TextOf(grpc::Status(
      grpc::StatusCode::UNAVAILABLE,
      "failed to connect to all addresses; last error: UNKNOWN: unix:/x: No such file"));
  EXPECT_THAT(text, HasSubstr("cannot reach the server at unix:/x: No such file\n"));
  EXPECT_THAT(text, HasSubstr("--server"));
}

TEST(ServiceErrorTest, TellsWhoMayConnectAndWhatIsNoServer) {
  const auto unavailable = [](const std::string& cause) {
    return TextOf(grpc::Status(grpc::StatusCode::UNAVAILABLE,
                               "failed to connect to all addresses; last error: UNKNOWN: unix:/x: " + cause));
  };
  EXPECT_EQ(unavailable("Permission denied"),
            "cannot reach the server at unix:/x: Permission denied\n"
            "run this as root, or as a member of the service user's group");
  EXPECT_THAT(unavailable("OK"), HasSubstr("unix:/x: what listens there does not speak gRPC\n"));
  EXPECT_THAT(unavailable("Failed parsing HTTP/2"), HasSubstr("does not speak gRPC\n"));
}

TEST(ServiceErrorTest, LeavesDamagedDetailsOut) {
  const ServiceError error =
      ParseServiceError(grpc::Status(grpc::StatusCode::INTERNAL, "boom", "\xff\xff not a proto"));
  EXPECT_EQ(error.message, "boom");
  EXPECT_EQ(error.reason, "");
  EXPECT_FALSE(error.retry_delay.has_value());
}

TEST(ServerAddressTest, FlagBeatsEnvironmentBeatsDefault) {
  ::unsetenv("CLOISTER_SERVER");
  EXPECT_EQ(*ResolveServerAddress(""), kDefaultServerAddress);
  ::setenv("CLOISTER_SERVER", "localhost:7001", 1);
  EXPECT_EQ(*ResolveServerAddress(""), "localhost:7001");
  EXPECT_EQ(*ResolveServerAddress("/tmp/s"), "unix:/tmp/s");
  EXPECT_EQ(*ResolveServerAddress("unix:/tmp/s"), "unix:/tmp/s");
  EXPECT_EQ(*ResolveServerAddress("[::1]:7001"), "[::1]:7001");
  ::unsetenv("CLOISTER_SERVER");
}

TEST(ServerAddressTest, RefusesWhatIsNone) {
  for (const char* text :
       {"localhost", "unix:", ":1", "h:0", "h:99999", "h:x", "::1", "http://h:1", "h/x:1"}) {
    const auto address = ResolveServerAddress(text);
    ASSERT_FALSE(address.ok()) << text;
    EXPECT_THAT(std::string(address.status().message()), HasSubstr("host:port"));
  }
}

}  // namespace
}  // namespace cloister::client
