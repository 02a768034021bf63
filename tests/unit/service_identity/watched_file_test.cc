#include "service/identity/watched_file.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cloister::identity {
namespace {

using ::testing::HasSubstr;

class WatchedFileTest : public ::testing::Test {
 protected:
  WatchedFileTest()
      : path_(absl::StrCat(::testing::TempDir(), "/watched_file_test.", ::getpid())),
        file_(path_) {}
  ~WatchedFileTest() override { std::filesystem::remove(path_); }

  void Write(const std::string& text) { std::ofstream(path_) << text; }
  void Append(const std::string& text) { std::ofstream(path_, std::ios::app) << text; }
  void Replace(const std::string& text) {
    std::ofstream(path_ + ".new") << text;
    std::filesystem::rename(path_ + ".new", path_);
  }

  const std::string path_;
  WatchedFile file_;
};

TEST_F(WatchedFileTest, ReadsUpToABound) {
  Write("12345");
  EXPECT_EQ(*file_.Read(5), "12345");
  EXPECT_THAT(std::string(file_.Read(4).status().message()), HasSubstr("more than 4 bytes"));
}

TEST_F(WatchedFileTest, NamesWhatCannotBeRead) {
  EXPECT_THAT(std::string(file_.Read(5).status().message()), HasSubstr(path_));
  WatchedFile directory(::testing::TempDir());
  EXPECT_THAT(std::string(directory.Read(5).status().message()), HasSubstr("no regular file"));
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  EXPECT_THAT(std::string(file_.Read(5).status().message()), HasSubstr("no regular file"));
}

TEST_F(WatchedFileTest, TellsOfAChangeOnceItHasSettled) {
  Write("a");
  ASSERT_TRUE(file_.Read(100).ok());
  EXPECT_FALSE(file_.HasSettledAnew());
  Replace("b");
  EXPECT_FALSE(file_.HasSettledAnew());  // seen
  EXPECT_TRUE(file_.HasSettledAnew());   // and still so
  EXPECT_EQ(*file_.Read(100), "b");
  EXPECT_FALSE(file_.HasSettledAnew());
  EXPECT_FALSE(file_.HasSettledAnew());
}

TEST_F(WatchedFileTest, WhatCouldNotBeReadIsTriedAgain) {
  Write("a");
  ASSERT_TRUE(file_.Read(100).ok());
  Replace("b");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const absl::Status failed = file_.Read(100).status();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_THAT(std::string(failed.message()), HasSubstr(path_));
  EXPECT_TRUE(file_.HasSettledAnew());
  EXPECT_EQ(*file_.Read(100), "b");
  EXPECT_FALSE(file_.HasSettledAnew());
}

TEST_F(WatchedFileTest, LeavesAloneWhatIsBeingWritten) {
  Write("a");
  ASSERT_TRUE(file_.Read(100).ok());
  for (int i = 0; i < 5; ++i) {
    Append("more");
    EXPECT_FALSE(file_.HasSettledAnew());
  }
  EXPECT_TRUE(file_.HasSettledAnew());
}

TEST_F(WatchedFileTest, TellsOfAFileThatHasGoneAndComeBack) {
  Write("a");
  ASSERT_TRUE(file_.Read(100).ok());
  std::filesystem::remove(path_);
  EXPECT_FALSE(file_.HasSettledAnew());
  EXPECT_TRUE(file_.HasSettledAnew());
  EXPECT_FALSE(file_.Read(100).ok());
  EXPECT_FALSE(file_.HasSettledAnew());
  Write("b");
  EXPECT_FALSE(file_.HasSettledAnew());
  EXPECT_TRUE(file_.HasSettledAnew());
}

}  // namespace
}  // namespace cloister::identity
