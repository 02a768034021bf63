#include "service/base/back_off.h"

#include <gtest/gtest.h>

#include <set>

namespace cloister::base {
namespace {

constexpr BackOffOptions kSteady{.initial = absl::Milliseconds(100),
                                 .maximum = absl::Seconds(1),
                                 .factor = 2,
                                 .jitter = 0};

TEST(BackOffTest, DoublesUpToItsMaximum) {
  BackOff back_off(kSteady);
  EXPECT_EQ(back_off.Next(), absl::Milliseconds(100));
  EXPECT_EQ(back_off.Next(), absl::Milliseconds(200));
  EXPECT_EQ(back_off.Next(), absl::Milliseconds(400));
  EXPECT_EQ(back_off.Next(), absl::Milliseconds(800));
  EXPECT_EQ(back_off.Next(), absl::Seconds(1));
  EXPECT_EQ(back_off.Next(), absl::Seconds(1));
}

TEST(BackOffTest, StartsAnewAfterReset) {
  BackOff back_off(kSteady);
  back_off.Next();
  back_off.Next();
  back_off.Reset();
  EXPECT_EQ(back_off.Next(), absl::Milliseconds(100));
}

TEST(BackOffTest, LeavesSomeToChanceWithinItsShare) {
  BackOffOptions options = kSteady;
  options.jitter = 0.2;
  std::set<absl::Duration> seen;
  for (int i = 0; i < 100; ++i) {
    BackOff back_off(options);
    const absl::Duration delay = back_off.Next();
    EXPECT_GE(delay, absl::Milliseconds(80));
    EXPECT_LE(delay, absl::Milliseconds(120));
    seen.insert(delay);
  }
  EXPECT_GT(seen.size(), 50u);
}

}  // namespace
}  // namespace cloister::base
