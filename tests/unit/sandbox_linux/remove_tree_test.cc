#include "sandbox/linux/remove_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {
namespace {

namespace fs = std::filesystem;

class RemoveTreeTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(path_.data()), nullptr); }
  void TearDown() override { EXPECT_EQ(rmdir(path_.c_str()), 0) << "something is left"; }

  std::string path_ = "/tmp/cloister-remove-tree-test-XXXXXX";
};

TEST_F(RemoveTreeTest, EmptiesWhatIsEmptyOrMissing) {
  EXPECT_TRUE(EmptyDirectory(path_).ok());
  EXPECT_TRUE(EmptyDirectory(path_ + "/none").ok());
}

TEST_F(RemoveTreeTest, RemovesFilesAndClosedDirectories) {
  fs::create_directories(path_ + "/a/b/c");
  fs::create_directories(path_ + "/a/closed/d");
  std::ofstream(path_ + "/a/b/file") << "x";
  ASSERT_EQ(mkfifo((path_ + "/a/fifo").c_str(), 0), 0);
  ASSERT_EQ(chmod((path_ + "/a/closed").c_str(), 0), 0);
  EXPECT_TRUE(EmptyDirectory(path_).ok());
}

TEST_F(RemoveTreeTest, FollowsNoLinks) {
  std::string outside = "/tmp/cloister-remove-tree-test-XXXXXX";
  ASSERT_NE(mkdtemp(outside.data()), nullptr);
  std::ofstream(outside + "/kept") << "x";
  fs::create_directory_symlink(outside, path_ + "/link");
  fs::create_directory(path_ + "/a");
  fs::create_directory_symlink(outside, path_ + "/a/link");
  EXPECT_TRUE(EmptyDirectory(path_).ok());
  EXPECT_TRUE(fs::exists(outside + "/kept"));
  fs::remove_all(outside);
}

// Deeper than paths are long and descriptors are many.
TEST_F(RemoveTreeTest, RemovesDeepTrees) {
  UniqueFd directory(open(path_.c_str(), O_PATH | O_CLOEXEC));
  for (int depth = 0; depth < 5000; ++depth) {
    ASSERT_EQ(mkdirat(directory.get(), "d", 0700), 0);
    directory.reset(openat(directory.get(), "d", O_PATH | O_CLOEXEC));
  }
  EXPECT_TRUE(EmptyDirectory(path_).ok());
}

}  // namespace
}  // namespace cloister::sandbox
