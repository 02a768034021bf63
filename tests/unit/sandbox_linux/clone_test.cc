#include "sandbox/linux/clone.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace cloister::sandbox {
namespace {

// Runs `function` in a clone and answers its exit status, as ReapPidfd does.
template <typename Function>
int InClone(Function function) {
  CloneResult clone = CloneProcess().value();
  if (clone.in_child) _exit(function());
  return ReapPidfd(clone.pidfd.get()).value();
}

TEST(CloneProcessTest, ReportsExitStatusesAndSignals) {
  EXPECT_EQ(InClone([] { return 0; }), 0);
  EXPECT_EQ(InClone([] { return 42; }), 42);
  EXPECT_EQ(InClone([]() -> int { abort(); }), 128 + SIGABRT);
  EXPECT_EQ(InClone([] { return raise(SIGKILL); }), 128 + SIGKILL);
}

TEST(CloneProcessTest, TheChildKnowsItsOwnThreadId) {
  EXPECT_EQ(InClone([] {
              // glibc answers pthread_kill from its cached id: with the parent's it would hit the
              // parent.
              signal(SIGUSR1, [](int) { _exit(17); });
              pthread_kill(pthread_self(), SIGUSR1);
              return 1;
            }),
            17);
}

TEST(CloneProcessTest, ErrorCheckingMutexesKnowTheChild) {
  EXPECT_EQ(InClone([] {
              pthread_mutexattr_t attributes;
              pthread_mutexattr_init(&attributes);
              pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
              pthread_mutex_t mutex;
              pthread_mutex_init(&mutex, &attributes);
              pthread_mutex_lock(&mutex);
              return mutex.__data.__owner == syscall(SYS_gettid) ? 0 : 1;
            }),
            0);
}

TEST(PidOfPidfdTest, NamesTheProcessUntilItIsReaped) {
  CloneResult clone = CloneProcess().value();
  if (clone.in_child) {
    pause();
    _exit(0);
  }
  EXPECT_EQ(PidOfPidfd(clone.pidfd.get()).value(), clone.pid);
  EXPECT_TRUE(SignalPidfd(clone.pidfd.get(), SIGKILL).ok());
  EXPECT_EQ(ReapPidfd(clone.pidfd.get()).value(), 128 + SIGKILL);
  EXPECT_TRUE(absl::IsNotFound(PidOfPidfd(clone.pidfd.get()).status()));
  EXPECT_TRUE(SignalPidfd(clone.pidfd.get(), SIGKILL).ok());  // no error: it has ended already
}

}  // namespace
}  // namespace cloister::sandbox
