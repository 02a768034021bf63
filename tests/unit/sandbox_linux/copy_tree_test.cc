#include "sandbox/linux/copy_tree.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {
namespace {

namespace fs = std::filesystem;

class CopyTreeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(path_.data()), nullptr);
    from_ = path_ + "/from";
    to_ = path_ + "/to";
    fs::create_directory(from_);
    fs::create_directory(to_);
  }
  void TearDown() override { fs::remove_all(path_); }

  absl::Status Copy(TreeOwner owner = {geteuid(), getegid()}) {
    const UniqueFd from(open(from_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd to(open(to_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return CopyTree(from.get(), to.get(), owner);
  }
  static std::string Read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static struct stat Stat(const std::string& path) {
    struct stat info = {};
    EXPECT_EQ(lstat(path.c_str(), &info), 0) << path;
    return info;
  }

  std::string path_ = "/tmp/cloister-copy-tree-test-XXXXXX";
  std::string from_, to_;
};

TEST_F(CopyTreeTest, CopiesFilesDirectoriesModesAndTimes) {
  fs::create_directories(from_ + "/a/b");
  std::ofstream(from_ + "/a/b/file") << "contents";
  ASSERT_EQ(chmod((from_ + "/a/b/file").c_str(), 0640), 0);
  ASSERT_EQ(chmod((from_ + "/a/b").c_str(), 0500), 0);
  const timespec times[] = {{.tv_sec = 1, .tv_nsec = 2}, {.tv_sec = 3, .tv_nsec = 4}};
  ASSERT_EQ(utimensat(AT_FDCWD, (from_ + "/a/b/file").c_str(), times, 0), 0);
  ASSERT_TRUE(Copy().ok());
  EXPECT_EQ(Read(to_ + "/a/b/file"), "contents");
  EXPECT_EQ(Stat(to_ + "/a/b/file").st_mode & 07777, 0640u);
  EXPECT_EQ(Stat(to_ + "/a/b").st_mode & 07777, 0500u);
  EXPECT_EQ(Stat(to_ + "/a/b/file").st_mtim.tv_sec, 3);
  std::ofstream(from_ + "/a/b/file") << "changed";
  EXPECT_EQ(Read(to_ + "/a/b/file"), "contents");
}

TEST_F(CopyTreeTest, GivesTheCopiesAway) {
  if (geteuid() != 0) GTEST_FAIL() << "needs root, to give files away";
  std::ofstream(from_ + "/file") << "x";
  fs::create_symlink("file", from_ + "/link");
  ASSERT_TRUE(Copy({.user = 1234, .group = 5678}).ok());
  for (const char* name : {"/file", "/link"}) {
    EXPECT_EQ(Stat(to_ + name).st_uid, 1234u);
    EXPECT_EQ(Stat(to_ + name).st_gid, 5678u);
  }
}

TEST_F(CopyTreeTest, CopiesLinksAsLinks) {
  const std::string secret = path_ + "/secret";
  std::ofstream(secret) << "not of the tree";
  fs::create_symlink(secret, from_ + "/outside");
  fs::create_directory_symlink("..", from_ + "/up");
  fs::create_symlink("nowhere", from_ + "/dangling");
  fs::create_symlink("loop", from_ + "/loop");
  std::ofstream(from_ + "/one") << "same";
  fs::create_hard_link(from_ + "/one", from_ + "/two");
  ASSERT_TRUE(Copy().ok());
  EXPECT_EQ(fs::read_symlink(to_ + "/outside"), secret);
  EXPECT_EQ(fs::read_symlink(to_ + "/up"), "..");
  EXPECT_EQ(fs::read_symlink(to_ + "/dangling"), "nowhere");
  EXPECT_TRUE(fs::is_symlink(to_ + "/loop"));
  EXPECT_EQ(Stat(to_ + "/one").st_ino, Stat(to_ + "/two").st_ino);
  EXPECT_NE(Stat(to_ + "/one").st_ino, Stat(from_ + "/one").st_ino);
}

TEST_F(CopyTreeTest, KeepsHoles) {
  const UniqueFd sparse(open((from_ + "/sparse").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  ASSERT_EQ(pwrite(sparse.get(), "end", 3, off_t{1} << 30), 3);
  ASSERT_TRUE(Copy().ok());
  EXPECT_EQ(Stat(to_ + "/sparse").st_size, (off_t{1} << 30) + 3);
  EXPECT_LT(Stat(to_ + "/sparse").st_blocks, 1024);
}

TEST_F(CopyTreeTest, OpensNothingThatIsNoFile) {
  ASSERT_EQ(mkfifo((from_ + "/fifo").c_str(), 0600), 0);  // opened, it would hang
  const UniqueFd ears(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  (from_ + "/socket").copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(ears.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  std::ofstream(from_ + "/file") << "x";
  ASSERT_TRUE(Copy().ok());
  EXPECT_TRUE(S_ISFIFO(Stat(to_ + "/fifo").st_mode));
  EXPECT_FALSE(fs::exists(to_ + "/socket"));
  EXPECT_TRUE(fs::exists(to_ + "/file"));
}

TEST_F(CopyTreeTest, StopsAtHundredDirectories) {
  std::string path = from_;
  for (int i = 0; i < 120; ++i) path += "/d";
  fs::create_directories(path);
  const absl::Status status = Copy();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
}

TEST_F(CopyTreeTest, NamesWhatIsInTheWay) {
  fs::create_directory(from_ + "/d");
  std::ofstream(from_ + "/d/file") << "x";
  fs::create_directory(to_ + "/d");
  const absl::Status status = Copy();
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find("d"), std::string::npos) << status;
}

TEST_F(CopyTreeTest, KnowsEmptyDirectories) {
  const UniqueFd directory(open(from_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_TRUE(*IsEmptyDirectory(directory.get()));
  std::ofstream(from_ + "/.hidden") << "x";
  EXPECT_FALSE(*IsEmptyDirectory(directory.get()));
}

}  // namespace
}  // namespace cloister::sandbox
