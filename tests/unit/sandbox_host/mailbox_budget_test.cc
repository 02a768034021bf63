// What mailboxes may hold, each and all together.

#include "sandbox/host/mailbox_budget.h"

#include <memory>
#include <vector>

#include "gtest/gtest.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kMebibyte = size_t{1} << 20;

struct Mailbox {
  std::shared_ptr<MailboxBudget> budget = std::make_shared<MailboxBudget>([this] { ++told; });
  int told = 0;
};

TEST(MailboxBudgetTest, EachHasABound) {
  Mailbox mailbox;
  EXPECT_TRUE(mailbox.budget->Take(40 * kMebibyte));
  EXPECT_FALSE(mailbox.budget->Take(16 * kMebibyte));
  EXPECT_EQ(mailbox.told, 0);
  mailbox.budget->Give(30 * kMebibyte);
  EXPECT_EQ(mailbox.told, 1);
  EXPECT_TRUE(mailbox.budget->Take(16 * kMebibyte));
  mailbox.budget->Give(16 * kMebibyte);
  EXPECT_EQ(mailbox.told, 1) << "nothing was refused since";
}

TEST(MailboxBudgetTest, SixteenThatTakeWhatTheyCanLeaveRoomForOthers) {
  std::vector<std::unique_ptr<Mailbox>> greedy;
  for (int i = 0; i < 16; ++i) {
    greedy.push_back(std::make_unique<Mailbox>());
    while (greedy.back()->budget->Take(kMebibyte)) {
    }
  }
  Mailbox other;
  EXPECT_TRUE(other.budget->Take(5 * kMebibyte));
}

TEST(MailboxBudgetTest, ALittleIsEverybodysOwn) {
  std::vector<std::unique_ptr<Mailbox>> greedy;
  for (int i = 0; i < 200; ++i) {
    greedy.push_back(std::make_unique<Mailbox>());
    while (greedy.back()->budget->Take(MailboxBudget::kOwnBytes)) {
    }
  }
  Mailbox other;
  EXPECT_FALSE(other.budget->Take(kMebibyte));
  EXPECT_TRUE(other.budget->Take(MailboxBudget::kOwnBytes));
}

TEST(MailboxBudgetTest, WhoWaitsForOthersIsToldOneByOne) {
  std::vector<std::shared_ptr<void>> kept;
  Mailbox large, first, second;
  while (large.budget->Take(kMebibyte)) {
  }
  kept.push_back(large.budget->Keep(MailboxBudget::kMaxBytesOfAll));  // past all bounds
  EXPECT_FALSE(first.budget->Take(2 * kMebibyte));
  EXPECT_FALSE(second.budget->Take(3 * kMebibyte));
  kept.clear();
  EXPECT_EQ(first.told + second.told, 1);
  first.budget->Tried();
  EXPECT_EQ(first.told, 1);
  EXPECT_EQ(second.told, 1);
  second.budget->Tried();
  EXPECT_EQ(first.told + second.told, 2);
}

TEST(MailboxBudgetTest, OneThatGoesPassesItsTurnOn) {
  Mailbox large, last;
  auto kept = large.budget->Keep(MailboxBudget::kMaxBytesOfAll);
  {
    Mailbox first;
    EXPECT_FALSE(first.budget->Take(2 * kMebibyte));
    EXPECT_FALSE(last.budget->Take(3 * kMebibyte));
    kept.reset();
    EXPECT_EQ(last.told, 0);
    first.budget->Close();
  }
  EXPECT_EQ(last.told, 1);
}

TEST(MailboxBudgetTest, WhatIsKeptOutlivesItsMailbox) {
  std::shared_ptr<void> kept;
  Mailbox other;
  {
    Mailbox mailbox;
    kept = mailbox.budget->Keep(MailboxBudget::kMaxBytesOfAll);
    mailbox.budget->Close();
  }
  EXPECT_FALSE(other.budget->Take(kMebibyte));
  kept.reset();
  EXPECT_EQ(other.told, 1);
  EXPECT_TRUE(other.budget->Take(kMebibyte));
}

}  // namespace
}  // namespace cloister::sandbox
