// Channels that the interpreters of a sandbox find by name, as their host keeps them.

#include "sandbox/host/named_channels.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "gmock/gmock.h"

namespace cloister::sandbox {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

bool Sends(const UniqueFd& end) {
  return ::send(end.get(), "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1;
}
bool Receives(const UniqueFd& end) {
  char byte;
  return ::recv(end.get(), &byte, 1, MSG_DONTWAIT) == 1;
}

TEST(NamedChannelsTest, ANameIsOneChannel) {
  NamedChannels channels;
  const auto first = channels.Open("jobs", std::nullopt);
  const auto second = channels.Open("jobs", 0);
  const auto other = channels.Open("more jobs", std::nullopt);
  ASSERT_TRUE(first.ok() && second.ok() && other.ok());
  EXPECT_THAT(first->descriptors, SizeIs(2));
  EXPECT_TRUE(Sends(first->descriptors[0]));
  EXPECT_FALSE(Receives(other->descriptors[1]));
  EXPECT_TRUE(Receives(second->descriptors[1]));
}

TEST(NamedChannelsTest, KeepsWhatWaitsWhenAllHaveClosedTheirs) {
  NamedChannels channels;
  EXPECT_TRUE(Sends(channels.Open("jobs", std::nullopt)->descriptors[0]));
  EXPECT_TRUE(Receives(channels.Open("jobs", std::nullopt)->descriptors[1]));
}

TEST(NamedChannelsTest, HasAsManyCreditsAsWereAskedFor) {
  NamedChannels channels;
  const auto channel = channels.Open("jobs", 2);
  ASSERT_TRUE(channel.ok());
  ASSERT_THAT(channel->descriptors, SizeIs(3));
  uint64_t one = 0;
  const int credits = channel->descriptors[2].get();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(::read(credits, &one, sizeof(one)), 8);
  EXPECT_LT(::read(credits, &one, sizeof(one)), 0);
  EXPECT_EQ(channels.Open("jobs", std::nullopt)->capacity, 2);
  const absl::Status other = channels.Open("jobs", 3).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(other));
  EXPECT_THAT(std::string(other.message()), HasSubstr("capacity 2 and not 3"));
  EXPECT_TRUE(absl::IsFailedPrecondition(channels.Open("jobs", 0).status()));
}

TEST(NamedChannelsTest, RefusesWhatIsNoWish) {
  NamedChannels channels;
  EXPECT_TRUE(absl::IsInvalidArgument(channels.Open("", 0).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(channels.Open(std::string(65, 'n'), 0).status()));
  EXPECT_TRUE(channels.Open(std::string(64, 'n'), 0).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(channels.Open("jobs", (1u << 20) + 1).status()));
}

TEST(NamedChannelsTest, AreBoundedInNumber) {
  NamedChannels channels;
  for (size_t i = 0; i < NamedChannels::kMaxChannels; ++i) {
    ASSERT_TRUE(channels.Open(std::to_string(i), 1).ok()) << i;
  }
  EXPECT_TRUE(absl::IsResourceExhausted(channels.Open("more", 1).status()));
  EXPECT_TRUE(channels.Open("7", 1).ok());
  EXPECT_TRUE(channels.Remove("7").ok());
  EXPECT_TRUE(channels.Open("more", 1).ok());
}

TEST(NamedChannelsTest, ANameThatWasRemovedIsFree) {
  NamedChannels channels;
  const auto old = channels.Open("jobs", std::nullopt);
  ASSERT_TRUE(old.ok());
  ASSERT_TRUE(channels.Remove("jobs").ok());
  EXPECT_TRUE(absl::IsNotFound(channels.Remove("jobs")));
  const auto fresh = channels.Open("jobs", 5);
  ASSERT_TRUE(fresh.ok()) << "it is another one";
  EXPECT_TRUE(Sends(old->descriptors[0]));
  EXPECT_FALSE(Receives(fresh->descriptors[1]));
  EXPECT_TRUE(Receives(old->descriptors[1])) << "who has it goes on using it";
}

TEST(NamedChannelsTest, WantOfDescriptorsIsAnErrorThatPasses) {
  NamedChannels channels;
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(channels.Open("jobs", 1).ok());
  const rlimit none = {1, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const absl::Status made = channels.Open("more", 1).status();
  const absl::Status opened = channels.Open("jobs", 1).status();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(absl::IsResourceExhausted(made)) << made;
  EXPECT_TRUE(absl::IsResourceExhausted(opened)) << opened;
  EXPECT_TRUE(channels.Open("more", 1).ok());
}

}  // namespace
}  // namespace cloister::sandbox
