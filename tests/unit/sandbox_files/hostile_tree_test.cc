// A program that writes to the same directory, and wants out of it.

#include <gmock/gmock.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "tests/unit/sandbox_files/file_server_fixture.h"

namespace cloister::sandbox {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;

constexpr unsigned kExchange = 2;  // RENAME_EXCHANGE

class HostileTreeTest : public FileServerTest {
 protected:
  void TearDown() override {
    Stop();
    FileServerTest::TearDown();
  }

  // Swaps two names of the workspace for each other, until Stop.
  void KeepSwapping(const std::string& one, const std::string& other) {
    swapper_ = std::thread([this, one, other] {
      const UniqueFd fd(open(workspace_.c_str(), O_PATH | O_DIRECTORY));
      while (!stop_) {
        syscall(SYS_renameat2, fd.get(), one.c_str(), fd.get(), other.c_str(), kExchange);
        ++swaps_;
      }
    });
    while (swaps_ == 0) std::this_thread::yield();
  }
  void Stop() {
    stop_ = true;
    if (swapper_.joinable()) swapper_.join();
    stop_ = false;
  }

  std::thread swapper_;
  std::atomic<bool> stop_ = false;
  std::atomic<int> swaps_ = 0;
};

TEST_F(HostileTreeTest, NoLinkIsFollowedWherever) {
  std::filesystem::create_symlink(base_ / "outside" / "secret", workspace_ / "file");
  std::filesystem::create_directory_symlink(base_ / "outside", workspace_ / "dir");
  std::filesystem::create_directory_symlink("..", workspace_ / "up");
  std::filesystem::create_directory_symlink("/proc/self/cwd", workspace_ / "magic");
  for (const char* path : {"file", "dir/secret", "up/outside/secret", "magic/x"}) {
    EXPECT_EQ(OpenToRead(path).error_number(), ELOOP) << path;
    EXPECT_EQ(OpenToWrite(path, {.make_parents = true}), ELOOP) << path;
  }
  EXPECT_EQ(Remove("dir/secret", true).error_number(), ELOOP);
  EXPECT_EQ(MakeDirectory("dir/new").error_number(), ELOOP);
  EXPECT_EQ(MakeDirectory("dir").error_number(), EEXIST);
  EXPECT_EQ(List("dir", true).error_number(), ELOOP);
  EXPECT_EQ(Get(base_ / "outside" / "secret"), "secret");
}

TEST_F(HostileTreeTest, DotDotStaysBeneath) {
  // The host refuses such paths; the kernel does as well.
  for (const char* path : {"../outside/secret", "a/../../outside/secret", "/etc/passwd"}) {
    std::filesystem::create_directory(workspace_ / "a");
    EXPECT_THAT(OpenToRead(path).error_number(), AnyOf(EXDEV, ENOENT)) << path;
    EXPECT_THAT(OpenToWrite(path), AnyOf(EXDEV, ENOENT)) << path;
  }
}

TEST_F(HostileTreeTest, PipesAndSocketsBlockNobody) {
  ASSERT_EQ(mkfifo((workspace_ / "pipe").c_str(), 0600), 0);
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof(address.sun_path), "%s", (workspace_ / "socket").c_str());
  ASSERT_EQ(bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  for (const char* path : {"pipe", "socket"}) {
    EXPECT_EQ(OpenToRead(path).error_number(), ENXIO) << path;
    EXPECT_EQ(OpenToWrite(path), ENXIO) << path;
  }
}

TEST_F(HostileTreeTest, SwappedDirectoryNeverLeadsOut) {
  Put(base_ / "outside" / "outsider", "");
  std::filesystem::create_directory(workspace_ / "d");
  Put(workspace_ / "d" / "secret", "inside");
  std::filesystem::create_directory_symlink(base_ / "outside", workspace_ / "l");
  KeepSwapping("d", "l");
  int reached = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (OpenToRead("d/secret").error_number() == 0) {
      EXPECT_EQ(Read(0, 100).data(), "inside");
      EXPECT_EQ(Close(), 0);
      ++reached;
    }
    const FileReply list = List("d");
    for (const auto& info : list.infos()) EXPECT_NE(info.path(), "d/outsider");
    if (OpenToWrite("d/new") == 0) {
      (void)Write("new");
      (void)Commit();
    }
    (void)Remove("d/new");
  }
  EXPECT_GT(reached, 0);
  Stop();
  EXPECT_FALSE(std::filesystem::exists(base_ / "outside" / "new"));
  EXPECT_EQ(Get(base_ / "outside" / "secret"), "secret");
}

TEST_F(HostileTreeTest, RemovalNeverLeadsOut) {
  std::filesystem::create_directory_symlink(base_ / "outside", workspace_ / "l");
  std::filesystem::create_directory(workspace_ / "d");
  KeepSwapping("d/x", "l");
  for (int i = 0; i < 3'000; ++i) {
    (void)MakeDirectory("d/x/y/z");
    (void)Remove("d", true);
  }
  Stop();
  EXPECT_EQ(Get(base_ / "outside" / "secret"), "secret");
}

TEST_F(HostileTreeTest, ReadersSeeOldOrNewNeverHalf) {
  const std::string old_text(100'000, 'o'), new_text(100'000, 'n');
  Put(workspace_ / "f", old_text);
  std::atomic<int> seen = 0;
  std::thread reader([&] {
    while (!stop_) {
      const std::string text = Get(workspace_ / "f");
      EXPECT_TRUE(text == old_text || text == new_text) << text.size();
      ++seen;
    }
  });
  for (int i = 0; i < 300 || seen < 100; ++i) {
    ASSERT_EQ(OpenToWrite("f"), 0);
    const std::string& text = i % 2 == 0 ? new_text : old_text;
    ASSERT_EQ(Write(text.substr(0, 50'000)), 0);
    ASSERT_EQ(Write(text.substr(50'000)), 0);
    ASSERT_EQ(Commit().error_number(), 0);
  }
  stop_ = true;
  reader.join();
  EXPECT_THAT(Tree(), ElementsAre("f"));
}

TEST_F(HostileTreeTest, WhatStandsInTheWayOfACommitIsRefused) {
  Put(workspace_ / "f", "old");
  ASSERT_EQ(OpenToWrite("f"), 0);
  std::filesystem::remove(workspace_ / "f");
  std::filesystem::create_symlink(base_ / "outside" / "secret", workspace_ / "f");
  EXPECT_EQ(Commit().error_number(), ELOOP);
  EXPECT_EQ(Get(base_ / "outside" / "secret"), "secret");
  std::filesystem::remove(workspace_ / "f");

  // The name it passes through is taken: by a file that goes, by a directory that does not.
  Put(workspace_ / "f", "old");
  Put(workspace_ / ".cloister-5", "mine");
  ASSERT_EQ(OpenToWrite("f", {.handle = 5}), 0);
  EXPECT_EQ(Commit(5).error_number(), 0);
  std::filesystem::create_directory(workspace_ / ".cloister-6");
  ASSERT_EQ(OpenToWrite("f", {.handle = 6}), 0);
  EXPECT_EQ(Commit(6).error_number(), EEXIST);
  EXPECT_THAT(Tree(), ElementsAre(".cloister-6/", "f"));
}

TEST_F(HostileTreeTest, DirectoryThatWentMeanwhileIsMissing) {
  std::filesystem::create_directory(workspace_ / "d");
  ASSERT_EQ(OpenToWrite("d/f"), 0);
  std::filesystem::remove(workspace_ / "d");
  EXPECT_EQ(Commit().error_number(), ENOENT);
  EXPECT_EQ(server_->open_count(), 0u);
}

}  // namespace
}  // namespace cloister::sandbox
