#include "service/pool/refill_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "service/pool/arrival_rate.h"

namespace cloister::pool {
namespace {

using ::testing::ElementsAre;

TEST(RefillPolicyTest, CoversTheArrivalsOfOneCreationAndTheMargin) {
  const Demand demand{100, absl::Milliseconds(20), absl::Milliseconds(80)};
  EXPECT_EQ(DesiredReady(demand, 0, 64), 10);
}

TEST(RefillPolicyTest, RoundsUp) {
  EXPECT_EQ(DesiredReady({1, absl::Milliseconds(10), absl::ZeroDuration()}, 0, 64), 1);
}

TEST(RefillPolicyTest, StaysBetweenItsBounds) {
  const absl::Duration second = absl::Seconds(1);
  EXPECT_EQ(DesiredReady({0, second, second}, 4, 64), 4);
  EXPECT_EQ(DesiredReady({1e30, second, second}, 4, 64), 64);
  EXPECT_EQ(DesiredReady({0, second, second}, 9, 3), 3) << "the upper bound is the harder one";
}

TEST(RefillPolicyTest, RisesAtOnceAndFallsByAQuarterAtLeast) {
  EXPECT_EQ(Settle(20, 21), 21);
  EXPECT_EQ(Settle(20, 20), 20);
  EXPECT_EQ(Settle(20, 15), 20);
  EXPECT_EQ(Settle(20, 14), 14);
  EXPECT_EQ(Settle(1, 0), 0);
}

TEST(RefillPolicyTest, BudgetLeavesWishesThatFitAlone) {
  EXPECT_THAT(FitToBudget({{10, 5}, {20, 1}}, 70), ElementsAre(10, 20));
}

TEST(RefillPolicyTest, BudgetCutsAllByTheSameShare) {
  EXPECT_THAT(FitToBudget({{10, 10}, {20, 5}}, 100), ElementsAre(5, 10));
  EXPECT_THAT(FitToBudget({{10, 10}}, 55), ElementsAre(5)) << "rounded down, never above";
  EXPECT_THAT(FitToBudget({{10, 10}}, 0), ElementsAre(0));
}

TEST(ArrivalRateTest, IsZeroBeforeTheFirst) {
  EXPECT_EQ(ArrivalRate().PerSecond(absl::UnixEpoch()), 0);
}

TEST(ArrivalRateTest, FindsASteadyRate) {
  ArrivalRate rate;
  absl::Time now = absl::UnixEpoch();
  for (int i = 0; i < 20'000; ++i) {
    now += absl::Milliseconds(10);
    rate.Record(now);
  }
  EXPECT_NEAR(rate.PerSecond(now), 100, 5);
}

TEST(ArrivalRateTest, RisesWithinASecondAndFallsOverHalfAMinute) {
  ArrivalRate rate;
  absl::Time now = absl::UnixEpoch();
  for (int i = 0; i < 100; ++i) {
    now += absl::Milliseconds(10);
    rate.Record(now);
  }
  EXPECT_GT(rate.PerSecond(now), 50);
  for (int i = 0; i < 5'900; ++i) {
    now += absl::Milliseconds(10);
    rate.Record(now);
  }
  EXPECT_GT(rate.PerSecond(now + absl::Seconds(10)), 30);
  EXPECT_LT(rate.PerSecond(now + absl::Seconds(120)), 3);
}

}  // namespace
}  // namespace cloister::pool
