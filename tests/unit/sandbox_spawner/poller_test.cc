#include "sandbox/spawner/poller.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "gtest/gtest.h"

namespace cloister::sandbox {
namespace {

UniqueFd Readable() { return UniqueFd(eventfd(1, EFD_CLOEXEC)); }

TEST(PollerTest, RunsTheCallbackOfAReadyDescriptor) {
  Poller poller = Poller::Create().value();
  const UniqueFd fd = Readable();
  uint32_t seen = 0;
  poller.Watch(fd.get(), EPOLLIN, [&seen](uint32_t events) { seen = events; });
  ASSERT_TRUE(poller.RunOnce().ok());
  EXPECT_EQ(seen, uint32_t{EPOLLIN});
}

TEST(PollerTest, CallbacksMayForgetThemselves) {
  Poller poller = Poller::Create().value();
  const UniqueFd first = Readable();
  const UniqueFd second = Readable();
  int calls = 0;
  Poller::Token token = 0;
  token = poller.Watch(first.get(), EPOLLIN, [&](uint32_t) {
    ++calls;
    poller.Forget(token);
  });
  ASSERT_TRUE(poller.RunOnce().ok());
  poller.Watch(second.get(), EPOLLIN, [](uint32_t) {});
  ASSERT_TRUE(poller.RunOnce().ok());
  EXPECT_EQ(calls, 1);
}

// Both are ready in the same wait; whichever runs first makes the other's event stale.
TEST(PollerTest, ForgottenDescriptorsHearNothingMore) {
  Poller poller = Poller::Create().value();
  const UniqueFd fds[] = {Readable(), Readable()};
  Poller::Token tokens[2] = {};
  int calls = 0;
  for (int i : {0, 1}) {
    tokens[i] = poller.Watch(fds[i].get(), EPOLLIN, [&, i](uint32_t) {
      ++calls;
      poller.Forget(tokens[1 - i]);
    });
  }
  ASSERT_TRUE(poller.RunOnce().ok());
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace cloister::sandbox
