// Descriptors for copies: each gets its own, whatever became of the one before it.

#include "sandbox/zygote/hand_over.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"

extern "C" const char cloister_traced_call[];

namespace cloister::sandbox {
namespace {

// A traced and stopped child with room for what it is handed.
class Receiver {
 public:
  Receiver() {
    pid_ = fork();
    if (pid_ == 0) {
      if (!BeTracedByParent().ok()) _exit(1);
      raise(SIGSTOP);
      for (;;) pause();
    }
    process_ = TracedProcess(pid_);
    EXPECT_TRUE(process_.AwaitStop().ok());
    EXPECT_TRUE(process_.Keep().ok());
    EXPECT_TRUE(process_.Call("close_range", SYS_close_range, {0, HandOver::kDescriptor - 1}).ok());
    const auto scratch =
        process_.Call("mmap", SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS, ~uint64_t{0}, 0});
    EXPECT_TRUE(scratch.ok());
    scratch_ = static_cast<uint64_t>(scratch.value_or(0));
  }
  ~Receiver() {
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, __WALL) == -1 && errno == EINTR) {
    }
  }

  absl::Status Take(HandOver& hand_over, absl::Span<const int> descriptors) const {
    return hand_over.Give(process_, scratch_, descriptors);
  }
  // Eight bytes in place of its calls.
  void Poison(const char* instructions) const {
    long word = 0;
    memcpy(&word, instructions, sizeof(word));
    ASSERT_EQ(ptrace(PTRACE_POKETEXT, pid_, cloister_traced_call, word), 0);
  }
  std::string Has(int descriptor) const { return LinkOf(pid_, descriptor); }

  static std::string LinkOf(pid_t pid, int descriptor) {
    char text[PATH_MAX];
    const ssize_t size =
        readlink(absl::StrCat("/proc/", pid, "/fd/", descriptor).c_str(), text, sizeof(text));
    return size < 0 ? "" : std::string(text, static_cast<size_t>(size));
  }

 private:
  pid_t pid_ = -1;
  uint64_t scratch_ = 0;
  TracedProcess process_;
};

class HandOverTest : public ::testing::Test {
 protected:
  HandOverTest() : hand_over_(HandOver::Make().value()) {
    for (int* ends : {first_, second_}) EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
  }
  ~HandOverTest() override {
    for (const int* ends : {first_, second_}) {
      close(ends[0]);
      close(ends[1]);
    }
  }
  static std::string Mine(int descriptor) { return Receiver::LinkOf(getpid(), descriptor); }

  const TracingScope scope_;
  HandOver hand_over_;
  int first_[2] = {};
  int second_[2] = {};
};

TEST_F(HandOverTest, GivesDescriptorsFromZeroOn) {
  const Receiver receiver;
  ASSERT_TRUE(receiver.Take(hand_over_, {first_[0], second_[1], first_[0]}).ok());
  EXPECT_EQ(receiver.Has(0), Mine(first_[0]));
  EXPECT_EQ(receiver.Has(1), Mine(second_[1]));
  EXPECT_EQ(receiver.Has(2), Mine(first_[0]));
  EXPECT_EQ(receiver.Has(3), "");
}

TEST_F(HandOverTest, LeavesNothingOfOneThatDiedToTheNext) {
  for (int i = 0; i < 3; ++i) {
    const Receiver dying;
    dying.Poison("\xcc\xcc\xcc\xcc\xcc\xcc\xcc\xcc");
    EXPECT_TRUE(TracedProcess::IsLost(dying.Take(hand_over_, {first_[0], first_[0]})));
  }
  const Receiver next;
  const absl::Status status = next.Take(hand_over_, {second_[0]});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(next.Has(0), Mine(second_[0]));
  EXPECT_EQ(next.Has(1), "");
}

}  // namespace
}  // namespace cloister::sandbox
