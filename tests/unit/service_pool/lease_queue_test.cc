#include "service/pool/lease_queue.h"

#include <algorithm>
#include <string>

#include "gtest/gtest.h"
#include "tests/support/fake_loop.h"

namespace cloister::pool {
namespace {

constexpr Party kOne{.id = 1};
constexpr Party kTwo{.id = 2};
constexpr Party kHeavy{.id = 3, .weight = 3};

class LeaseQueueTest : public ::testing::Test {
 protected:
  void Push(const Party& party, absl::Duration patience = absl::Minutes(1)) {
    queue_.Push(++last_, {.arrived = loop_.Now(),
                          .deadline = absl::InfiniteFuture(),
                          .patience_end = loop_.Now() + patience,
                          .party = party});
  }
  // Whose turn it was, one digit each.
  std::string PopAll() {
    std::string order;
    while (!queue_.empty()) order += std::to_string(queue_.Pop().party.id);
    return order;
  }

  testing::FakeLoop loop_;
  std::string expired_;
  LeaseQueue queue_{&loop_, [this](LeaseQueue::Waiter waiter) {
                      expired_ += waiter.is_displaced ? "displaced" : "";
                      expired_ += std::to_string(waiter.party.id);
                    }};
  LeaseQueue::Ticket last_ = 0;
};

TEST_F(LeaseQueueTest, OnePartyIsServedInItsOrder) {
  for (int i = 0; i < 3; ++i) Push(kOne);
  EXPECT_TRUE(queue_.Remove(2));
  EXPECT_FALSE(queue_.Remove(2));
  EXPECT_EQ(queue_.size(), 2);
  EXPECT_EQ(PopAll(), "11");
}

TEST_F(LeaseQueueTest, PartiesTakeTurns) {
  for (int i = 0; i < 4; ++i) Push(kOne);
  for (int i = 0; i < 2; ++i) Push(kTwo);
  EXPECT_EQ(PopAll(), "121211");
}

TEST_F(LeaseQueueTest, AWeightIsSoManyTurns) {
  for (int i = 0; i < 4; ++i) Push(kOne);
  for (int i = 0; i < 8; ++i) Push(kHeavy);
  const std::string order = PopAll();
  // Of the first eight, a quarter.
  EXPECT_EQ(std::count(order.begin(), order.begin() + 8, '1'), 2) << order;
}

TEST_F(LeaseQueueTest, WhoDidNotWaitHasSavedNothingUp) {
  for (int i = 0; i < 6; ++i) Push(kOne);
  for (int i = 0; i < 4; ++i) queue_.Pop();
  for (int i = 0; i < 3; ++i) Push(kTwo);
  const std::string order = PopAll();
  EXPECT_NE(order.substr(0, 3), "222");
}

TEST_F(LeaseQueueTest, WhoComesBackAtOnceIsNotFirstAgain) {
  for (int i = 0; i < 40; ++i) Push(kHeavy);
  Push(kOne);
  int heavy = 0;
  for (int i = 0; i < 40; ++i) {
    if (queue_.Pop().party.id == kOne.id) {
      Push(kOne);
    } else {
      ++heavy;
    }
  }
  EXPECT_EQ(heavy, 30) << "three of four turns";
}

TEST_F(LeaseQueueTest, WhoHasMoreThanHisShareGivesAPlaceUp) {
  for (int i = 0; i < 4; ++i) Push(kOne);
  EXPECT_FALSE(queue_.Displace(kOne));
  EXPECT_TRUE(queue_.Displace(kTwo));
  EXPECT_EQ(queue_.size(), 3);
  EXPECT_EQ(expired_, "");  // not inline
  loop_.Run();
  EXPECT_EQ(expired_, "displaced1");
  Push(kTwo);
  // Three to one: the next one makes it three to two, and then nobody has more than another would.
  EXPECT_TRUE(queue_.Displace(kTwo));
  Push(kTwo);
  EXPECT_FALSE(queue_.Displace(kTwo));
  EXPECT_EQ(queue_.size(), 4);
}

TEST_F(LeaseQueueTest, AWeightIsAShareOfTheQueueAsWell) {
  for (int i = 0; i < 3; ++i) Push(kHeavy);
  EXPECT_FALSE(queue_.Displace(kOne));
  for (int i = 0; i < 3; ++i) Push(kHeavy);
  EXPECT_TRUE(queue_.Displace(kOne));
}

TEST_F(LeaseQueueTest, WhoGaveHisPlaceUpCanStillBeForgotten) {
  for (int i = 0; i < 3; ++i) Push(kOne);
  ASSERT_TRUE(queue_.Displace(kTwo));
  queue_.ArmTimers();
  EXPECT_TRUE(queue_.Remove(3));
  loop_.Run();
  EXPECT_EQ(expired_, "");
  EXPECT_EQ(PopAll(), "11");
}

TEST_F(LeaseQueueTest, NobodyWaitsForLongerThanHeMay) {
  Push(kOne, absl::Seconds(1));
  Push(kTwo, absl::Seconds(2));
  queue_.ArmTimers();
  loop_.Advance(absl::Seconds(1));
  EXPECT_EQ(expired_, "1");
  loop_.Advance(absl::Seconds(1));
  EXPECT_EQ(expired_, "12");
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(loop_.timer_count(), 0);
}

}  // namespace
}  // namespace cloister::pool
