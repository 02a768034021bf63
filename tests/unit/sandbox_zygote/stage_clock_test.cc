#include "sandbox/zygote/stage_clock.h"

#include "gtest/gtest.h"

namespace cloister::sandbox {
namespace {

TEST(StageClockTest, EveryStageLastsUntilTheNext) {
  StageClock clock;
  EXPECT_STREQ(clock.current(), "start");
  const int64_t before = MonotonicNanoseconds();
  clock.Begin("first");
  clock.Begin("second");
  EXPECT_STREQ(clock.current(), "second");
  internal::v1::Ready ready;
  clock.Report(ready.mutable_stage_times());
  const int64_t after = MonotonicNanoseconds();
  ASSERT_EQ(ready.stage_times_size(), 2);
  EXPECT_EQ(ready.stage_times(0).stage(), "first");
  EXPECT_EQ(ready.stage_times(1).stage(), "second");
  EXPECT_GE(ready.stage_times(0).nanoseconds(), 0);
  EXPECT_GE(clock.begin(), before);
  // Together they fill the time since the first began.
  EXPECT_LE(ready.stage_times(0).nanoseconds() + ready.stage_times(1).nanoseconds(),
            after - clock.begin());
}

TEST(StageClockTest, ForgetsStagesBeyondItsRoom) {
  StageClock clock;
  for (int i = 0; i < 100; ++i) clock.Begin("again");
  internal::v1::Ready ready;
  clock.Report(ready.mutable_stage_times());
  EXPECT_GT(ready.stage_times_size(), 0);
  EXPECT_LT(ready.stage_times_size(), 100);
}

}  // namespace
}  // namespace cloister::sandbox
