#include "service/pool/refill_pace.h"

#include <gtest/gtest.h>

namespace cloister::pool {
namespace {

constexpr absl::Duration kPause = absl::Milliseconds(20);
const absl::Time kStart = absl::UnixEpoch();

TEST(RefillPaceTest, AllAtOnceBeforeTheFirstRequest) {
  RefillPace pace(kPause, 4);
  EXPECT_EQ(pace.AtOnce(kStart, 0, 8, false), 4);
}

TEST(RefillPaceTest, NoneBetweenRequestsAndAllInAPause) {
  RefillPace pace(kPause, 4);
  pace.OnLease(kStart);
  EXPECT_EQ(pace.pause_begin(), kStart + kPause);
  EXPECT_EQ(pace.AtOnce(kStart, 7, 8, false), 0);
  EXPECT_EQ(pace.AtOnce(kStart + kPause - absl::Nanoseconds(1), 3, 8, false), 0);
  EXPECT_EQ(pace.AtOnce(kStart + kPause, 3, 8, false), 4);
}

TEST(RefillPaceTest, OneFromAQuarterOfTheStockToAHalf) {
  RefillPace pace(kPause, 4);
  pace.OnLease(kStart);
  EXPECT_EQ(pace.AtOnce(kStart, 3, 8, false), 0);
  EXPECT_EQ(pace.AtOnce(kStart, 2, 8, false), 1);
  EXPECT_EQ(pace.AtOnce(kStart, 3, 8, false), 1);
  EXPECT_EQ(pace.AtOnce(kStart, 4, 8, false), 0);
  EXPECT_EQ(pace.AtOnce(kStart, 3, 8, false), 0);
}

TEST(RefillPaceTest, AllWhileSomebodyWaits) {
  RefillPace pace(kPause, 4);
  pace.OnLease(kStart);
  EXPECT_EQ(pace.AtOnce(kStart, 0, 8, true), 4);
}

TEST(RefillPaceTest, AnEmptyTargetIsNeverShort) {
  RefillPace pace(kPause, 4);
  pace.OnLease(kStart);
  EXPECT_EQ(pace.AtOnce(kStart, 0, 0, false), 0);
}

}  // namespace
}  // namespace cloister::pool
