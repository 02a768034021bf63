// What the host asks for when a live sandbox is copied, and what it makes of the guest's answers.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "sandbox/host/sandbox_fork.h"
#include "tests/unit/sandbox_host/host_session_fixture.h"

namespace cloister::sandbox {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class HostForkTest : public HostSessionTest {
 protected:
  using Forks = absl::StatusOr<std::vector<std::unique_ptr<Sandbox>>>;

  // Asks, up to where the guest is to say whether it stands still.
  void Fork(int count) {
    ForkSpec spec;
    spec.count = count;
    sandbox_->Fork(spec, [this](Forks forks) {
      status_ = forks.status();
      if (forks.ok()) made_ = forks->size();
    });
    Settle();
    EXPECT_TRUE(guest_->ReadHostFrame().has_prepare_fork());
  }
  void SayPrepared(const std::vector<std::string>& obstacles = {}) {
    internal::v1::GuestFrame frame;
    frame.mutable_fork_prepared()->mutable_obstacles()->Assign(obstacles.begin(), obstacles.end());
    guest_->Say(frame);
    Settle();
  }
  // Ids of the copies asked for since.
  std::vector<int64_t> Asked() {
    Settle();
    std::vector<int64_t> ids;
    while (!spawner_->Silent()) {
      const internal::v1::SpawnerRequest request = spawner_->Next();
      if (request.has_fork_sandbox()) ids.push_back(request.fork_sandbox().sandbox_id());
    }
    return ids;
  }
  void SayFailed(int64_t copy) {
    internal::v1::SpawnerEvent event;
    event.mutable_sandbox_failed()->set_sandbox_id(copy);
    event.mutable_sandbox_failed()->set_message("no");
    spawner_->Say(event);
  }
  std::unique_ptr<FakeGuest> SayMade(int64_t copy) {
    auto guest = std::make_unique<FakeGuest>(copy);
    spawner_->SayCreated(guest.get());
    guest->SayReady();
    return guest;
  }

  std::optional<absl::Status> status_;
  size_t made_ = 0;
};

TEST_F(HostForkTest, AsksForAFewCopiesAtATime) {
  constexpr int kCount = SandboxFork::kCopiesAtOnce + 2;
  Fork(kCount);
  SayPrepared();
  std::vector<std::unique_ptr<FakeGuest>> guests;
  std::vector<int64_t> asked = Asked();
  EXPECT_EQ(asked.size(), static_cast<size_t>(SandboxFork::kCopiesAtOnce));
  while (!asked.empty()) {
    for (const int64_t copy : asked) guests.push_back(SayMade(copy));
    asked = Asked();
  }
  RunUntil(&loop_, [this] { return status_.has_value(); });
  EXPECT_TRUE(status_->ok()) << *status_;
  EXPECT_EQ(made_, static_cast<size_t>(kCount));
}

TEST_F(HostForkTest, AsksForNoMoreOnceOneHasFailed) {
  Fork(100);
  SayPrepared();
  const std::vector<int64_t> asked = Asked();
  ASSERT_FALSE(asked.empty());
  SayFailed(asked[0]);
  EXPECT_TRUE(Asked().empty());
  EXPECT_FALSE(status_.has_value()) << "the others are under way";
  for (size_t i = 1; i < asked.size(); ++i) SayFailed(asked[i]);
  RunUntil(&loop_, [this] { return status_.has_value(); });
  EXPECT_THAT(status_->message(), HasSubstr("no"));
}

TEST_F(HostForkTest, WhatAGuestNamesAsObstaclesIsTameAndShort) {
  Fork(1);
  std::vector<std::string> obstacles(40, std::string(1'000, 'x'));
  obstacles[0] = "a thread\n\x1b[31m is alive";
  SayPrepared(obstacles);
  RunUntil(&loop_, [this] { return status_.has_value(); });
  EXPECT_TRUE(absl::IsFailedPrecondition(*status_));
  EXPECT_THAT(status_->message(), HasSubstr("a thread \\x1b[31m is alive; xxx"));
  EXPECT_THAT(status_->message(), Not(HasSubstr("\n")));
  EXPECT_LT(status_->message().size(), 1400u);
}

}  // namespace
}  // namespace cloister::sandbox
