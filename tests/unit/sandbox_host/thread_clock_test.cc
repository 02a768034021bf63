// Threads of this process, as another would be told of its.

#include "sandbox/host/thread_clock.h"

#include <unistd.h>

#include <optional>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace cloister::sandbox {
namespace {

// Threads that do nothing until the end.
class Threads {
 public:
  ~Threads() {
    over_.Notify();
    for (std::thread& thread : threads_) thread.join();
  }

  // Returns its id.
  pid_t Start() {
    absl::Notification known;
    pid_t id = 0;
    threads_.emplace_back([&] {
      id = gettid();
      known.Notify();
      over_.WaitForNotification();
    });
    known.WaitForNotification();
    return id;
  }

 private:
  absl::Notification over_;
  std::vector<std::thread> threads_;
};

TEST(ThreadClockTest, FindsAYoungThread) {
  Threads threads;
  const pid_t first = threads.Start();
  const pid_t second = threads.Start();
  EXPECT_EQ(FindThread(getpid(), first), first);
  EXPECT_EQ(FindThread(getpid(), second), second);
  EXPECT_EQ(FindThread(getpid(), 0), std::nullopt);
  EXPECT_EQ(FindThread(getpid(), getppid()), std::nullopt) << "no thread of this process";
}

TEST(ThreadClockTest, LooksAtTheYoungestOnly) {
  Threads threads;
  const pid_t first = threads.Start();
  pid_t last = 0;
  for (int i = 0; i < kMostThreadsLookedAt; ++i) last = threads.Start();
  EXPECT_EQ(FindThread(getpid(), last), last);
  EXPECT_EQ(FindThread(getpid(), first), std::nullopt);
}

}  // namespace
}  // namespace cloister::sandbox
