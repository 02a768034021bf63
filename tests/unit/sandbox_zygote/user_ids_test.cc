#include "sandbox/zygote/user_ids.h"

#include "gtest/gtest.h"

namespace cloister::sandbox {
namespace {

TEST(UserIdsTest, NobodySharesWhileThereAreEnough) {
  UserIds ids(1000, 3);
  EXPECT_EQ(ids.Take(), 1000u);
  EXPECT_EQ(ids.Take(), 1001u);
  ids.Return(1000);
  EXPECT_EQ(ids.Take(), 1002u) << "the one that rested longest";
  ids.Return(1002);
  EXPECT_EQ(ids.Take(), 1000u);
  EXPECT_EQ(ids.Take(), 1002u) << "past the one that is taken";
}

TEST(UserIdsTest, SharesWhereAllAreTaken) {
  UserIds ids(1000, 2);
  EXPECT_EQ(ids.Take(), 1000u);
  EXPECT_EQ(ids.Take(), 1001u);
  EXPECT_EQ(ids.Take(), 1000u);
  EXPECT_EQ(ids.Take(), 1001u);
}

TEST(UserIdsTest, TheOnlyOneIsEverybodys) {
  UserIds ids(1000, 1);
  EXPECT_EQ(ids.Take(), 1000u);
  EXPECT_EQ(ids.Take(), 1000u);
  ids.Return(1000);
  EXPECT_EQ(ids.Take(), 1000u);
}

}  // namespace
}  // namespace cloister::sandbox
