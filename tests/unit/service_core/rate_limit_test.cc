#include "service/core/rate_limit.h"

#include "gtest/gtest.h"

namespace cloister::core {
namespace {

TEST(RateLimitTest, LetsABurstThroughAndThenSoManyASecond) {
  RateLimit limit(10, 3);
  absl::Time now = absl::FromUnixSeconds(1000);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limit.Take(now), absl::ZeroDuration());
  EXPECT_EQ(limit.Take(now), absl::Milliseconds(100));
  now += absl::Milliseconds(40);
  EXPECT_EQ(limit.Take(now), absl::Milliseconds(60));
  // What was refused was not counted.
  now += absl::Milliseconds(60);
  EXPECT_EQ(limit.Take(now), absl::ZeroDuration());
  EXPECT_EQ(limit.Take(now), absl::Milliseconds(100));
}

TEST(RateLimitTest, APauseSavesUpNoMoreThanTheBurst) {
  RateLimit limit(10, 2);
  absl::Time now = absl::FromUnixSeconds(1000);
  EXPECT_EQ(limit.Take(now), absl::ZeroDuration());
  now += absl::Hours(1);
  EXPECT_EQ(limit.Take(now), absl::ZeroDuration());
  EXPECT_EQ(limit.Take(now), absl::ZeroDuration());
  EXPECT_GT(limit.Take(now), absl::ZeroDuration());
}

TEST(RateLimitTest, KeepsToRatesBelowOneASecond) {
  RateLimit limit(0.5, 1);
  const absl::Time now = absl::FromUnixSeconds(1000);
  EXPECT_EQ(limit.Take(now), absl::ZeroDuration());
  EXPECT_EQ(limit.Take(now + absl::Seconds(1)), absl::Seconds(1));
  EXPECT_EQ(limit.Take(now + absl::Seconds(2)), absl::ZeroDuration());
}

}  // namespace
}  // namespace cloister::core
