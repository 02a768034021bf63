#include "service/base/proto_time.h"

#include <gtest/gtest.h>

namespace cloister::base {
namespace {

TEST(ProtoTimeTest, DurationsSurviveTheRoundTrip) {
  for (const absl::Duration duration :
       {absl::ZeroDuration(), absl::Nanoseconds(1), absl::Seconds(3) + absl::Nanoseconds(250),
        absl::Milliseconds(-1500), absl::Hours(100'000)}) {
    EXPECT_EQ(FromProto(ToProto(duration)), duration);
  }
}

TEST(ProtoTimeTest, NegativeDurationsHaveTwoNegativeParts) {
  const google::protobuf::Duration proto = ToProto(absl::Milliseconds(-1500));
  EXPECT_EQ(proto.seconds(), -1);
  EXPECT_EQ(proto.nanos(), -500'000'000);
}

TEST(ProtoTimeTest, TimesBeforeTheEpochHavePositiveNanos) {
  const google::protobuf::Timestamp proto =
      ToProto(absl::UnixEpoch() - absl::Milliseconds(1500));
  EXPECT_EQ(proto.seconds(), -2);
  EXPECT_EQ(proto.nanos(), 500'000'000);
}

}  // namespace
}  // namespace cloister::base
