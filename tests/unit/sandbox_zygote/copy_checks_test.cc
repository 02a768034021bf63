// What is refused to be copied: memory that would stay shared, and memory that takes too long.

#include "sandbox/zygote/copy_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "sandbox/zygote/refusal.h"

namespace cloister::sandbox {
namespace {

using ::testing::HasSubstr;

// A child that has prepared its memory, until the test ends.
class Mapper {
 public:
  explicit Mapper(const std::function<bool()>& prepare) {
    int told[2];
    EXPECT_EQ(pipe(told), 0);
    pid_ = fork();
    if (pid_ == 0) {
      const char ok = prepare() ? 1 : 0;
      (void)!write(told[1], &ok, 1);
      for (;;) pause();
    }
    char ok = 0;
    EXPECT_EQ(read(told[0], &ok, 1), 1);
    EXPECT_EQ(ok, 1);
    close(told[0]);
    close(told[1]);
  }
  ~Mapper() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

void* Map(size_t bytes, int flags) {
  return mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

TEST(CopyChecksTest, TellsLinesApart) {
  const MappingCheck check = MappingCheck::OfThisProcess();
  EXPECT_TRUE(check.CheckLine("7f00-7f01 rw-p 00000000 00:00 0 ").ok());
  EXPECT_TRUE(check.CheckLine("7f00-7f01 rw-p 00000000 00:00 0                          [heap]").ok());
  const absl::Status shared = check.CheckLine("7f00-7f01 rw-s 00000000 00:00 0 ");
  EXPECT_TRUE(IsRefusal(shared)) << shared;
  EXPECT_THAT(std::string(shared.message()), HasSubstr("a shared mapping"));
  const absl::Status file =
      check.CheckLine("7f00-7f01 rw-p 00000000 00:fe 12   /workspace/a name with caf\xe9");
  EXPECT_TRUE(IsRefusal(file)) << file;
  EXPECT_THAT(std::string(file.message()), HasSubstr(": /workspace/a name with caf\\xe9 ("));
  const absl::Status lengthy =
      check.CheckLine("7f00-7f01 rw-p 00000000 00:fe 12 /" + std::string(4000, 'x'));
  EXPECT_LT(lengthy.message().size(), 400u);
  EXPECT_TRUE(IsRefusal(check.CheckLine("7f00-7f01 rw-p 0 ff:ff")));
}

TEST(CopyChecksTest, TakesAProcessLikeThisOne) {
  const MappingCheck check = MappingCheck::OfThisProcess();
  const Mapper plain([] { return true; });
  EXPECT_TRUE(check.Check(plain.pid()).ok()) << check.Check(plain.pid());
  EXPECT_TRUE(CheckPageTables(plain.pid()).ok());
}

TEST(CopyChecksTest, RefusesMemoryThatStaysShared) {
  const Mapper sharing([] { return Map(4096, MAP_SHARED) != MAP_FAILED; });
  EXPECT_TRUE(IsRefusal(MappingCheck::OfThisProcess().Check(sharing.pid())));
}

TEST(CopyChecksTest, RefusesMoreMappingsThanCanBeLookedAt) {
  const Mapper splitting([] {
    // Every other page another right: none of them can be joined.
    char* const memory = static_cast<char*>(Map(size_t{4096} * (kMaxMappings + 2), MAP_PRIVATE));
    for (int i = 0; i < kMaxMappings; i += 2) {
      if (mprotect(memory + size_t{4096} * i, 4096, PROT_READ) != 0) return false;
    }
    return true;
  });
  const absl::Status status = MappingCheck::OfThisProcess().Check(splitting.pid());
  EXPECT_TRUE(IsRefusal(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("16384 separate memory mappings"));
}

TEST(CopyChecksTest, RefusesPageTablesThatTakeLongToCopy) {
  const Mapper reading([] {
    constexpr size_t kTable = size_t{2} << 20;  // what one page of tables maps
    constexpr size_t kBytes = kTable * (kMaxPageTableBytes / 4096 + 64);
    const char* const memory = static_cast<char*>(Map(kBytes, MAP_PRIVATE));
    if (memory == MAP_FAILED || madvise(const_cast<char*>(memory), kBytes, MADV_NOHUGEPAGE) != 0) {
      return false;
    }
    // The zero page: nobody's memory limit notices.
    for (size_t at = 0; at < kBytes; at += kTable) (void)*const_cast<volatile const char*>(memory + at);
    return true;
  });
  const absl::Status status = CheckPageTables(reading.pid());
  EXPECT_TRUE(IsRefusal(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("at most 32"));
}

TEST(CopyChecksTest, TakesNothingOfWhoIsGone) {
  pid_t gone = fork();
  if (gone == 0) _exit(0);
  siginfo_t info = {};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(gone), &info, WEXITED | WNOWAIT), 0);
  EXPECT_FALSE(MappingCheck::OfThisProcess().Check(gone).ok());
  EXPECT_FALSE(CheckPageTables(gone).ok());
  waitpid(gone, nullptr, 0);
}

}  // namespace
}  // namespace cloister::sandbox
