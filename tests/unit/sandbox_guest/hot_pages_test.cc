// What a clone has touched, as its parent learns it, and touching it ahead of time.

#include "sandbox/guest/hot_pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace cloister::sandbox {
namespace {

constexpr size_t kPages = 256;

class HotPagesTest : public ::testing::Test {
 protected:
  // Pages that are in place and shared with a clone, and no huge page among them.
  void SetUp() override {
    memory_ = static_cast<char*>(mmap(nullptr, kPages * kPageBytes, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(memory_, MAP_FAILED);
    madvise(memory_, kPages * kPageBytes, MADV_NOHUGEPAGE);
    memset(memory_, 1, kPages * kPageBytes);
  }
  void TearDown() override { munmap(memory_, kPages * kPageBytes); }

  char* Page(size_t number) const { return memory_ + number * kPageBytes; }
  static bool Contains(const std::vector<PageRange>& ranges, const char* page) {
    const auto address = reinterpret_cast<uintptr_t>(page);
    return std::any_of(ranges.begin(), ranges.end(), [address](const PageRange& range) {
      return range.written && range.begin <= address && address < range.end;
    });
  }
  // What a clone that does `work` has touched.
  template <typename Work>
  std::vector<PageRange> Watch(const Work& work) {
    auto watch = PageWatch::Prepare();
    EXPECT_TRUE(watch.ok()) << watch.status();
    const pid_t pid = fork();
    if (pid == 0) {
      work();
      _exit(watch->Record() ? 0 : 1);
    }
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
    return watch->Touched();
  }

  char* memory_ = nullptr;
};

TEST_F(HotPagesTest, LearnsWhatACloneWrites) {
  const auto touched = Watch([this] { *Page(3) = *Page(4) = *Page(200) = 2; });
  EXPECT_TRUE(Contains(touched, Page(3)));
  EXPECT_TRUE(Contains(touched, Page(4)));
  EXPECT_TRUE(Contains(touched, Page(200)));
  for (const size_t other : {2, 5, 100, 199, 201}) EXPECT_FALSE(Contains(touched, Page(other)));
}

TEST_F(HotPagesTest, JoinsNeighboursInOrder) {
  const auto touched = Watch([this] { memset(Page(10), 2, 20 * kPageBytes); });
  const auto begin = reinterpret_cast<uintptr_t>(Page(10));
  const auto found = std::find_if(touched.begin(), touched.end(), [begin](const PageRange& range) {
    return range.begin == begin;
  });
  ASSERT_NE(found, touched.end());
  EXPECT_EQ(found->end, begin + 20 * kPageBytes);
  EXPECT_TRUE(std::is_sorted(touched.begin(), touched.end(),
                             [](const auto& a, const auto& b) { return a.begin < b.begin; }));
}

TEST_F(HotPagesTest, WhatIsTouchedAheadFaultsNoMore) {
  const auto begin = reinterpret_cast<uintptr_t>(memory_);
  const std::vector<PageRange> ranges = {{begin, begin + kPages * kPageBytes, true}};
  const pid_t pid = fork();
  if (pid == 0) {
    TouchPages(ranges);
    rusage before = {}, after = {};
    getrusage(RUSAGE_SELF, &before);
    for (size_t i = 0; i < kPages; ++i) *Page(i) = 3;
    getrusage(RUSAGE_SELF, &after);
    const bool unchanged = *Page(7) == 3;
    _exit(unchanged && after.ru_minflt - before.ru_minflt < 16 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(*Page(7), 1) << "the clone's own";
}

TEST_F(HotPagesTest, TouchingChangesNothing) {
  memset(memory_, 5, kPages * kPageBytes);
  const auto begin = reinterpret_cast<uintptr_t>(memory_);
  TouchPages({{begin, begin + kPages * kPageBytes, true}, {begin, begin + kPageBytes, false}});
  EXPECT_TRUE(std::all_of(memory_, memory_ + kPages * kPageBytes, [](char c) { return c == 5; }));
}

}  // namespace
}  // namespace cloister::sandbox
