#include "service/rpc/idle_watch.h"

#include "gtest/gtest.h"
#include "tests/support/fake_loop.h"

namespace cloister::rpc {
namespace {

class IdleWatchTest : public ::testing::Test {
 protected:
  testing::FakeLoop loop_;
  int idle_ = 0;
  IdleWatch watch_{&loop_, absl::Seconds(60), [this] { ++idle_; }};
};

TEST_F(IdleWatchTest, TellsOfAClientThatDoesNotGoOn) {
  watch_.Await();
  loop_.Advance(absl::Seconds(59));
  EXPECT_EQ(idle_, 0);
  loop_.Advance(absl::Seconds(2));
  EXPECT_EQ(idle_, 1);
  loop_.Advance(absl::Hours(1));
  EXPECT_EQ(idle_, 1);
}

TEST_F(IdleWatchTest, EachTurnBeginsAnew) {
  for (int i = 0; i < 10; ++i) {
    watch_.Await();
    loop_.Advance(absl::Seconds(45));
    watch_.Came();
  }
  EXPECT_EQ(idle_, 0);
  watch_.Await();
  loop_.Advance(absl::Seconds(59));
  EXPECT_EQ(idle_, 0);
  loop_.Advance(absl::Seconds(1));
  EXPECT_EQ(idle_, 1);
}

TEST_F(IdleWatchTest, OurOwnTurnMayTakeAsLongAsItDoes) {
  watch_.Await();
  watch_.Came();
  loop_.Advance(absl::Hours(1));
  EXPECT_EQ(idle_, 0);
  watch_.Await();
  loop_.Advance(absl::Seconds(61));
  EXPECT_EQ(idle_, 1);
}

}  // namespace
}  // namespace cloister::rpc
