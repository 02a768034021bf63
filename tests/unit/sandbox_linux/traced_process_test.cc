// System calls made on behalf of a tracer: exactly those that were approved, whatever the traced
// process's memory holds.

#include "sandbox/linux/traced_process.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "sandbox/base/monotonic_time.h"

extern "C" const char cloister_traced_call[];

namespace cloister::sandbox {
namespace {

constexpr int kReleasedExit = 42;

[[noreturn]] void ExitReleased(int code) { _exit(code); }

// A child that is traced and stopped, until the test ends.
class TracedProcessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    pid_ = fork();
    ASSERT_GE(pid_, 0);
    if (pid_ == 0) {
      if (!BeTracedByParent().ok()) _exit(1);
      raise(SIGSTOP);
      for (;;) pause();
    }
    process_ = TracedProcess(pid_);
    ASSERT_TRUE(process_.AwaitStop().ok());
    ASSERT_TRUE(process_.Keep().ok());
  }
  void TearDown() override {
    for (const pid_t pid : {pid_, copy_}) {
      if (pid <= 0) continue;
      kill(pid, SIGKILL);
      while (waitpid(pid, nullptr, __WALL) == -1 && errno == EINTR) {
      }
    }
  }

  // What the child has where it is sent for its calls; eight bytes at most.
  void Poison(std::string_view instructions) {
    long word = 0;
    memcpy(&word, instructions.data(), instructions.size());
    ASSERT_EQ(ptrace(PTRACE_POKETEXT, pid_, cloister_traced_call, word), 0);
  }

  const TracingScope scope_;
  pid_t pid_ = -1;
  pid_t copy_ = -1;
  TracedProcess process_;
};

// On a busy machine each of many stops takes its time.
TEST(TracingScopeTest, ManySlowStopsAreNoHang) {
  constexpr int kStops = 6;
  const int64_t pause_nanoseconds = absl::ToInt64Nanoseconds(TracingScope::kStopPatience) / 4;
  const TracingScope scope;
  const pid_t pid = fork();
  ASSERT_GE(pid, 0);
  if (pid == 0) {
    if (!BeTracedByParent().ok()) _exit(1);
    const timespec pause = {0, pause_nanoseconds};
    for (int i = 0; i < kStops; ++i) {
      nanosleep(&pause, nullptr);
      raise(SIGSTOP);
    }
    ::pause();
  }
  const TracedProcess process(pid);
  for (int i = 0; i < kStops; ++i) {
    EXPECT_TRUE(process.AwaitStop().ok()) << i;
    ptrace(PTRACE_CONT, pid, nullptr, nullptr);
  }
  const absl::Status hung = process.AwaitStop();
  EXPECT_TRUE(absl::IsDeadlineExceeded(hung)) << hung;
  kill(pid, SIGKILL);
  while (waitpid(pid, nullptr, __WALL) == -1 && errno == EINTR) {
  }
}

TEST_F(TracedProcessTest, MakesTheCallsItIsTold) {
  EXPECT_EQ(*process_.Call("getpid", SYS_getpid), pid_);
  EXPECT_EQ(*process_.Call("getppid", SYS_getppid), getpid());
  const auto mapped = process_.Call(
      "mmap", SYS_mmap,
      {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, ~uint64_t{0}, 0});
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  EXPECT_TRUE(process_.Write(static_cast<uint64_t>(*mapped), "written").ok());
}

TEST_F(TracedProcessTest, TellsTheKernelsErrors) {
  const auto closed = process_.Call("close", SYS_close, {1000});
  EXPECT_FALSE(closed.ok());
  EXPECT_EQ(errno, EBADF);
  EXPECT_EQ(*process_.Call("getpid", SYS_getpid), pid_) << "it can go on";
}

TEST_F(TracedProcessTest, ApprovesNoOtherCall) {
  Poison("\xb8\x27\x00\x00\x00\x0f\x05");  // mov eax, getpid; syscall
  const auto result = process_.Call("getuid", SYS_getuid);
  EXPECT_TRUE(absl::IsAborted(result.status())) << result.status();
}

TEST_F(TracedProcessTest, ApprovesNoOtherArguments) {
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  Poison("\xbf\x00\x00\x00\x00\x0f\x05");  // mov edi, 0; syscall
  const auto result = process_.Call("close", SYS_close, {7});
  EXPECT_TRUE(absl::IsAborted(result.status())) << result.status();
  close(pipes[0]);
  close(pipes[1]);
}

TEST_F(TracedProcessTest, NoticesWhoTrapsOrDiesOnTheWay) {
  Poison("\xcc");  // int3
  EXPECT_TRUE(absl::IsAborted(process_.Call("getpid", SYS_getpid).status()));
  kill(pid_, SIGKILL);
  EXPECT_TRUE(absl::IsAborted(process_.Call("getpid", SYS_getpid).status()));
}

TEST_F(TracedProcessTest, WaitsForNoLoopInPlaceOfTheCall) {
  Poison("\xeb\xfe");  // jmp to itself
  const int64_t start = MonotonicNanoseconds();
  const auto result = process_.Call("getpid", SYS_getpid);
  EXPECT_TRUE(absl::IsAborted(result.status())) << result.status();
  EXPECT_LT(MonotonicNanoseconds() - start, 1'000'000'000) << "one round of the loop is too many";
}

TEST_F(TracedProcessTest, LetsItRunOneInstruction) {
  Poison("\x49\xff\xc4\x49\xff\xc4\xeb\xfe");  // inc r12; inc r12; jmp to itself
  const unsigned long long before = process_.Registers()->r12;
  EXPECT_TRUE(absl::IsAborted(process_.Call("getpid", SYS_getpid).status()));
  EXPECT_EQ(process_.Registers()->r12, before + 1);
}

TEST_F(TracedProcessTest, ApprovesNoCallOfAnotherArchitecture) {
  Poison("\xcd\x80");  // int 0x80
  EXPECT_TRUE(absl::IsAborted(process_.Call("getpid", SYS_getpid).status()));
}

TEST_F(TracedProcessTest, ApprovesNoOtherMemory) {
  constexpr char kAsked[] = "/asked-for";
  char found[sizeof(kAsked)] = "/something";  // at the same address here and there
  const auto address = reinterpret_cast<uint64_t>(found);
  const std::string_view asked(kAsked, sizeof(kAsked));
  ASSERT_TRUE(process_.Write(address, asked).ok());
  const auto same = process_.Call("chdir", SYS_chdir, {address}, {{address, asked}});
  EXPECT_FALSE(TracedProcess::IsLost(same.status())) << same.status();
  EXPECT_EQ(errno, ENOENT);
  ASSERT_TRUE(process_.Write(address, "/other").ok());
  const auto other = process_.Call("chdir", SYS_chdir, {address}, {{address, asked}});
  EXPECT_TRUE(TracedProcess::IsLost(other.status())) << other.status();
  const auto nowhere = process_.Call("chdir", SYS_chdir, {8}, {{8, asked}});
  EXPECT_TRUE(TracedProcess::IsLost(nowhere.status())) << nowhere.status();
}

TEST_F(TracedProcessTest, PutsTheInstructionBack) {
  Poison("\xcc");
  ASSERT_TRUE(process_.RestoreInstruction().ok());
  EXPECT_EQ(*process_.Call("getpid", SYS_getpid), pid_);
}

TEST_F(TracedProcessTest, ReadsWhatItWrote) {
  char room[32] = {};
  const auto address = reinterpret_cast<uint64_t>(room);
  ASSERT_TRUE(process_.Write(address + 1, "thirteen byte").ok());
  EXPECT_EQ(*process_.Read(address, 15), std::string_view("\0thirteen byte\0", 15));
  EXPECT_FALSE(process_.Read(8, 1).ok());
}

TEST_F(TracedProcessTest, ClonesACopyThatIsStoppedAndHasItsOwnMemory) {
  const auto copy = process_.Call("clone", SYS_clone, CopyArguments());
  ASSERT_TRUE(copy.ok()) << copy.status();
  copy_ = static_cast<pid_t>(*copy);
  const TracedProcess copied(copy_);
  ASSERT_TRUE(copied.AwaitStop().ok());
  EXPECT_EQ(*copied.Call("getppid", SYS_getppid), getpid()) << "a sibling, not a child";
  Poison("\xcc");
  EXPECT_EQ(*copied.Call("getpid", SYS_getpid), copy_) << "its memory is another";
}

TEST_F(TracedProcessTest, GoesWhereItIsReleasedTo) {
  const auto stack = process_.Call(
      "mmap", SYS_mmap,
      {0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, ~uint64_t{0}, 0});
  ASSERT_TRUE(stack.ok());
  ASSERT_TRUE(process_
                  .Release(reinterpret_cast<uint64_t>(&ExitReleased),
                           static_cast<uint64_t>(*stack) + 65536 - 8, kReleasedExit)
                  .ok());
  int status = 0;
  while (waitpid(pid_, &status, __WALL) == -1 && errno == EINTR) {
  }
  pid_ = -1;
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == kReleasedExit) << status;
}

TEST(TracedProcessEndTest, DiesWithItsTracer) {
  int told[2];
  ASSERT_EQ(pipe(told), 0);
  const pid_t tracer = fork();
  if (tracer == 0) {
    const pid_t traced = fork();
    if (traced == 0) {
      (void)BeTracedByParent();
      raise(SIGSTOP);
      for (;;) pause();
    }
    const TracedProcess process(traced);
    const bool kept = process.AwaitStop().ok() && process.Keep().ok();
    (void)!write(told[1], &kept, sizeof(kept));
    _exit(0);
  }
  // Whoever still holds the writing end still lives.
  close(told[1]);
  bool kept = false;
  EXPECT_EQ(read(told[0], &kept, sizeof(kept)), static_cast<ssize_t>(sizeof(kept)));
  EXPECT_TRUE(kept);
  EXPECT_EQ(read(told[0], &kept, sizeof(kept)), 0);
  close(told[0]);
  waitpid(tracer, nullptr, 0);
}

}  // namespace
}  // namespace cloister::sandbox
