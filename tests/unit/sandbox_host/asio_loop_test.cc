#include "sandbox/host/asio_loop.h"

#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "sandbox/host/fd_watcher.h"

namespace cloister::sandbox {
namespace {

TEST(AsioLoopTest, RunsWhatIsPostedInOrderAndNeverInline) {
  AsioLoop loop;
  std::string order;
  loop.Post([&] {
    loop.Post([&] {
      order += 'c';
      loop.Stop();
    });
    order += 'a';
  });
  loop.Post([&] { order += 'b'; });
  EXPECT_EQ(order, "");
  loop.Run();
  EXPECT_EQ(order, "abc");
}

TEST(AsioLoopTest, DiscardsWhatItHoldsAndWhatThatPosts) {
  AsioLoop loop;
  // Posts another of its kind as it goes, so many times.
  struct Chain {
    Chain(AsioLoop* owner, int left) : loop(owner), links(left) {}
    ~Chain() {
      if (links > 0) loop->Post([next = std::make_shared<Chain>(loop, links - 1)] { FAIL(); });
      if (links == 0) loop->CallAfter(absl::Hours(1), [held = std::make_shared<int>()] { FAIL(); });
    }
    AsioLoop* const loop;
    const int links;
  };
  auto held = std::make_shared<Chain>(&loop, 3);
  const std::weak_ptr<Chain> watch = held;
  loop.CallAfter(absl::Hours(1), [held = std::move(held)] { FAIL(); });
  loop.Discard();
  EXPECT_TRUE(watch.expired());
  loop.Post([&] { loop.Stop(); });
  loop.Run();
}

TEST(AsioLoopTest, TakesPostsFromManyThreads) {
  AsioLoop loop;
  int count = 0;
  constexpr int kThreads = 4, kPosts = 1000;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < kPosts; ++j) {
        loop.Post([&] {
          EXPECT_TRUE(loop.IsCurrent());
          if (++count == kThreads * kPosts) loop.Stop();
        });
      }
      EXPECT_FALSE(loop.IsCurrent());
    });
  }
  loop.Run();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, kThreads * kPosts);
}

// A loop that runs on a thread of its own.
class RunningLoop {
 public:
  RunningLoop() : thread_([this] { loop_.Run(); }) {
    absl::Notification runs;
    loop_.Post([&runs] { runs.Notify(); });
    runs.WaitForNotification();
  }
  ~RunningLoop() {
    loop_.Stop();
    thread_.join();
  }
  AsioLoop* operator->() { return &loop_; }

 private:
  AsioLoop loop_;
  std::thread thread_;
};

TEST(AsioLoopTest, WhoEntersRunsItHimselfWhereNothingElseRuns) {
  RunningLoop loop;
  const std::thread::id self = std::this_thread::get_id();
  std::thread::id runner;
  // The loop's own thread may be on its way out of its last function.
  for (int i = 0; i < 1000 && runner != self; ++i) {
    absl::Notification done;
    loop->Enter([&] {
      EXPECT_TRUE(loop->IsCurrent());
      runner = std::this_thread::get_id();
      done.Notify();
    });
    done.WaitForNotification();
    EXPECT_FALSE(loop->IsCurrent());
  }
  EXPECT_EQ(runner, self);
}

TEST(AsioLoopTest, WhatIsPostedWhileAnEnteredFunctionRunsComesAfterItAndWithoutAnotherThread) {
  RunningLoop loop;
  std::string order;
  absl::Notification done;
  loop->Enter([&] {
    loop->Enter([&] { order += 'b'; });
    loop->Post([&] {
      order += 'c';
      done.Notify();
    });
    order += 'a';
  });
  done.WaitForNotification();
  EXPECT_EQ(order, "abc");
}

TEST(AsioLoopTest, NothingRunsBesideAFunctionAndNothingThatEntersIsForgotten) {
  RunningLoop loop;
  int count = 0;  // unguarded: a race detector, and the sum, would tell
  absl::Notification done;
  constexpr int kThreads = 4, kCalls = 2000;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < kCalls; ++j) {
        loop->Enter([&] {
          if (++count == 2 * kThreads * kCalls) done.Notify();
          loop->CallAfter(absl::ZeroDuration(), [&] {
            if (++count == 2 * kThreads * kCalls) done.Notify();
          });
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  done.WaitForNotification();
  EXPECT_EQ(count, 2 * kThreads * kCalls);
}

TEST(AsioLoopTest, WhatEntersBeforeRunAndAfterStopWaitsForTheNextRun) {
  AsioLoop loop;
  std::string order;
  loop.Enter([&] {
    order += 'a';
    loop.Stop();
  });
  EXPECT_EQ(order, "");
  loop.Run();
  loop.Enter([&] {
    order += 'b';
    loop.Stop();
  });
  EXPECT_EQ(order, "a");
  loop.Run();
  EXPECT_EQ(order, "ab");
}

TEST(AsioLoopTest, TimersComeInTheOrderOfTheirTimesAndNotEarly) {
  AsioLoop loop;
  std::string order;
  const absl::Time start = loop.Now();
  loop.CallAfter(absl::Milliseconds(20), [&] {
    order += 'c';
    EXPECT_GE(loop.Now() - start, absl::Milliseconds(20));
    loop.Stop();
  });
  loop.CallAfter(absl::Milliseconds(10), [&] { order += 'b'; });
  loop.CallAfter(absl::Milliseconds(-1), [&] { order += 'a'; });
  EXPECT_EQ(order, "");
  loop.Run();
  EXPECT_EQ(order, "abc");
}

TEST(AsioLoopTest, ACancelledTimerNeverRunsEvenIfItIsDue) {
  AsioLoop loop;
  Loop::TimerId victim = 0;
  loop.CallAfter(absl::ZeroDuration(), [&] { loop.Cancel(victim); });
  victim = loop.CallAfter(absl::ZeroDuration(), [] { ADD_FAILURE() << "cancelled, yet it ran"; });
  loop.CallAfter(absl::Milliseconds(5), [&] { loop.Stop(); });
  loop.Cancel(0);
  loop.Cancel(12345);
  loop.Run();
}

// The alarm for the first goes off all the same.
TEST(AsioLoopTest, ATimerRunsThoughAnEarlierOneWasCancelled) {
  AsioLoop loop;
  const Loop::TimerId first =
      loop.CallAfter(absl::Milliseconds(5), [] { ADD_FAILURE() << "cancelled, yet it ran"; });
  bool ran = false;
  const absl::Time begin = loop.Now();
  loop.CallAfter(absl::Milliseconds(20), [&] {
    ran = true;
    EXPECT_GE(loop.Now() - begin, absl::Milliseconds(20));
    loop.Stop();
  });
  loop.Cancel(first);
  loop.Run();
  EXPECT_TRUE(ran);
}

TEST(AsioLoopTest, WhatIsDueWhenTheLoopStopsRunsWhenItGoesOn) {
  AsioLoop loop;
  std::string order;
  loop.CallAfter(absl::ZeroDuration(), [&] {
    order += 'a';
    loop.Stop();
  });
  loop.CallAfter(absl::ZeroDuration(), [&] {
    order += 'b';
    loop.Stop();
  });
  loop.Run();
  EXPECT_EQ(order, "a");
  loop.Run();
  EXPECT_EQ(order, "ab");
}

TEST(AsioLoopTest, ATimerMayCancelItselfAndSetItselfAgain) {
  AsioLoop loop;
  int runs = 0;
  Loop::TimerId timer = 0;
  std::function<void()> tick = [&] {
    loop.Cancel(timer);
    if (++runs == 3) return loop.Stop();
    timer = loop.CallAfter(absl::ZeroDuration(), tick);
  };
  timer = loop.CallAfter(absl::ZeroDuration(), tick);
  loop.Run();
  EXPECT_EQ(runs, 3);
}

TEST(AsioLoopTest, WhatIsPendingAtTheEndIsDroppedAndNotRun) {
  auto alive = std::make_shared<int>();
  {
    AsioLoop loop;
    loop.Post([alive] { ADD_FAILURE(); });
    loop.CallAfter(absl::Hours(1), [alive] { ADD_FAILURE(); });
  }
  EXPECT_EQ(alive.use_count(), 1);
}

class FdWatcherTest : public ::testing::Test {
 protected:
  FdWatcherTest() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    watcher_ = std::make_unique<FdWatcher>(&loop_, UniqueFd(ends[0]));
    write_end_.reset(ends[1]);
    EXPECT_TRUE(watcher_->Open().ok());
  }

  void Write() { ASSERT_EQ(::write(write_end_.get(), "x", 1), 1); }

  AsioLoop loop_;
  std::unique_ptr<FdWatcher> watcher_;
  UniqueFd write_end_;
};

TEST_F(FdWatcherTest, TellsOfDataThatIsThereAlreadyEachTimeItIsAsked) {
  Write();
  int calls = 0;
  std::function<void()> again = [&] {
    if (++calls == 3) return loop_.Stop();  // the byte is never read
    watcher_->WaitReadable(again);
  };
  watcher_->WaitReadable(again);
  EXPECT_EQ(calls, 0) << "inline";
  loop_.Run();
}

TEST_F(FdWatcherTest, TellsOfTheEnd) {
  watcher_->WaitReadable([this] { loop_.Stop(); });
  write_end_.reset();
  loop_.Run();
}

TEST_F(FdWatcherTest, ACancelledWaitIsForgottenAndANewOneIsServed) {
  watcher_->WaitReadable([] { ADD_FAILURE() << "cancelled, yet it ran"; });
  watcher_->CancelReadable();
  watcher_->WaitReadable([this] { loop_.Stop(); });
  Write();
  loop_.Run();
}

TEST_F(FdWatcherTest, NothingRunsOnceItIsDestroyed) {
  Write();
  watcher_->WaitReadable([] { ADD_FAILURE() << "destroyed, yet it ran"; });
  watcher_.reset();
  loop_.CallAfter(absl::Milliseconds(5), [this] { loop_.Stop(); });
  loop_.Run();
}

TEST_F(FdWatcherTest, MayBeDestroyedFromItsOwnFunction) {
  Write();
  watcher_->WaitReadable([this] {
    watcher_.reset();
    loop_.Stop();
  });
  loop_.Run();
}

TEST(FdWatcherOpenTest, WhatIsNoDescriptorCannotBeWatched) {
  AsioLoop loop;
  FdWatcher watcher(&loop, UniqueFd());
  EXPECT_FALSE(watcher.Open().ok());
  EXPECT_EQ(watcher.fd(), -1);
}

}  // namespace
}  // namespace cloister::sandbox
