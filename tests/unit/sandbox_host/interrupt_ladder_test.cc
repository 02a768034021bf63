#include "sandbox/host/interrupt_ladder.h"

#include "gtest/gtest.h"

namespace cloister::sandbox {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1'000);

TEST(InterruptLadderTest, DoesNothingUnlessAsked) {
  InterruptLadder ladder;
  EXPECT_FALSE(ladder.asked());
  EXPECT_FALSE(ladder.TakeSignal(kStart));
  EXPECT_FALSE(ladder.IsOver(kStart));
  EXPECT_EQ(ladder.next_step(), absl::InfiniteFuture());
}

TEST(InterruptLadderTest, RepeatsUntilTheGraceHasPassed) {
  InterruptLadder ladder;
  ladder.Ask(HostStop::kInterruptGrace, absl::Milliseconds(250), kStart);
  EXPECT_TRUE(ladder.TakeSignal(kStart));
  EXPECT_FALSE(ladder.TakeSignal(kStart));
  EXPECT_EQ(ladder.next_step(), kStart + InterruptLadder::kRepeat);
  EXPECT_TRUE(ladder.TakeSignal(kStart + InterruptLadder::kRepeat));
  EXPECT_TRUE(ladder.TakeSignal(kStart + 2 * InterruptLadder::kRepeat));
  EXPECT_EQ(ladder.next_step(), kStart + absl::Milliseconds(250));
  EXPECT_FALSE(ladder.IsOver(kStart + absl::Milliseconds(249)));
  EXPECT_TRUE(ladder.IsOver(kStart + absl::Milliseconds(250)));
}

TEST(InterruptLadderTest, TheShortestGraceAndTheFirstCauseWin) {
  InterruptLadder ladder;
  ladder.Ask(HostStop::kInterruptGrace, absl::Seconds(60), kStart);
  ladder.Ask(HostStop::kWallTime, absl::Seconds(2), kStart);
  ladder.Ask(HostStop::kInterruptGrace, absl::Seconds(30), kStart);
  EXPECT_EQ(ladder.cause(), HostStop::kInterruptGrace);
  EXPECT_TRUE(ladder.limit_passed());
  EXPECT_EQ(ladder.grace(), absl::Seconds(2));
  EXPECT_TRUE(ladder.IsOver(kStart + absl::Seconds(2)));
}

TEST(InterruptLadderTest, AStormOfRequestsSendsNoMoreSignals) {
  InterruptLadder ladder;
  int signals = 0;
  for (int i = 0; i < 1000; ++i) {
    ladder.Ask(HostStop::kInterruptGrace, absl::Seconds(1), kStart);
    signals += ladder.TakeSignal(kStart);
  }
  EXPECT_EQ(signals, 1);
}

}  // namespace
}  // namespace cloister::sandbox
