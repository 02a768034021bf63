// What request_ids stand for, while their requests are under way and afterwards.

#include "service/core/request_ids.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "service/core/error.h"
#include "tests/unit/service_core/core_fixture.h"

namespace cloister::core {
namespace {

class RequestIdsTest : public ::testing::Test {
 protected:
  RecordingObserver observer_;
  RequestIds ids_{&observer_, 2};
};

TEST_F(RequestIdsTest, AnIdThatNobodyUsedIsNew) {
  EXPECT_FALSE(ids_.Find("a", "digest")->exists);
  EXPECT_FALSE(ids_.Find("", "digest")->exists);
  EXPECT_EQ(ids_.Begin("", "digest"), nullptr);
  EXPECT_FALSE(ids_.Find("", "digest")->exists);
  EXPECT_TRUE(observer_.replays.empty());
}

TEST_F(RequestIdsTest, ARepetitionJoinsWhatIsUnderWayAndFindsWhatWasMade) {
  const RequestIds::Hold hold = ids_.Begin("a", "digest");
  EXPECT_TRUE(ids_.Find("a", "digest")->exists);
  EXPECT_TRUE(ids_.Find("a", "digest")->names.empty());
  std::vector<std::string> told;
  EXPECT_TRUE(ids_.Await("a", [&](const auto& names) { told = *names; }).ok());
  ids_.Complete("a", {"x", "y"});
  EXPECT_EQ(told, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(ids_.Find("a", "digest")->names, told);
  EXPECT_EQ(ReasonOf(ids_.Find("a", "other").status()), v1::ERROR_REASON_REQUEST_ID_REUSED);
  EXPECT_EQ(observer_.replays.back(), ReplayResult::kReused);
}

TEST_F(RequestIdsTest, WhatFailedTellsThoseWhoJoinedAndIsNewAgain) {
  RequestIds::Hold hold = ids_.Begin("a", "digest");
  std::optional<absl::Status> told;
  EXPECT_TRUE(ids_.Await("a", [&](const auto& names) { told = names.status(); }).ok());
  ids_.Fail("a", absl::UnavailableError("no"));
  EXPECT_TRUE(told.has_value() && absl::IsUnavailable(*told));
  EXPECT_FALSE(ids_.Find("a", "other")->exists);
  // The hold of the one that failed says nothing about the one that comes next.
  const RequestIds::Hold second = ids_.Begin("a", "other");
  hold.reset();
  for (const char* id : {"b", "c", "d"}) (void)ids_.Begin(id, "digest");
  EXPECT_TRUE(ids_.Find("a", "other")->exists);
}

TEST_F(RequestIdsTest, SoManyWaitAndNoMore) {
  const RequestIds::Hold hold = ids_.Begin("a", "digest");
  size_t told = 0;
  const auto count = [&told](const auto&) { ++told; };
  for (size_t i = 0; i < kMaximumWaiters; ++i) {
    EXPECT_TRUE(ids_.Await("a", count).ok());
  }
  EXPECT_EQ(ReasonOf(ids_.Await("a", count)), v1::ERROR_REASON_OVERLOADED);
  ids_.Complete("a", {"x"});
  EXPECT_EQ(told, kMaximumWaiters);
}

TEST_F(RequestIdsTest, WhatIsHeldStaysAndOfTheRestOnlyTheLatest) {
  const RequestIds::Hold held = ids_.Begin("held", "digest");
  for (const char* id : {"a", "b", "c"}) {
    (void)ids_.Begin(id, "digest");
    ids_.Complete(id, {id});
  }
  EXPECT_TRUE(ids_.Find("held", "digest")->exists);
  EXPECT_FALSE(ids_.Find("a", "digest")->exists);
  EXPECT_TRUE(ids_.Find("b", "digest")->exists);
  EXPECT_TRUE(ids_.Find("c", "digest")->exists);
}

TEST(RequestIdsLifeTest, MayGoBeforeItsHolds) {
  RecordingObserver observer;
  RequestIds::Hold hold;
  {
    RequestIds ids(&observer, 2);
    hold = ids.Begin("a", "digest");
  }
  hold.reset();
}

}  // namespace
}  // namespace cloister::core
