// One request after another, in a directory that nobody else touches.

#include "sandbox/files/file_server.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "tests/unit/sandbox_files/file_server_fixture.h"

namespace cloister::sandbox {
namespace {

using internal::v1::PathInfo;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(FileServerTest, WrittenFileAppearsWhenCommitted) {
  ASSERT_EQ(OpenToWrite("a.txt"), 0);
  ASSERT_EQ(Write("one "), 0);
  ASSERT_EQ(Write("two"), 0);
  EXPECT_THAT(Tree(), IsEmpty());
  const FileReply reply = Commit();
  ASSERT_EQ(reply.error_number(), 0);
  ASSERT_EQ(reply.infos_size(), 1);
  EXPECT_EQ(reply.infos(0).path(), "a.txt");
  EXPECT_EQ(reply.infos(0).kind(), PathInfo::KIND_FILE);
  EXPECT_EQ(reply.infos(0).size_bytes(), 7);
  EXPECT_FALSE(reply.infos(0).is_executable());
  EXPECT_GT(reply.infos(0).modify_time_nanoseconds(), 0);
  EXPECT_THAT(Tree(), ElementsAre("a.txt"));
  EXPECT_EQ(Get(workspace_ / "a.txt"), "one two");
  EXPECT_EQ(server_->open_count(), 0u);
}

TEST_F(FileServerTest, ClosedFileLeavesNothing) {
  ASSERT_EQ(OpenToWrite("a.txt"), 0);
  ASSERT_EQ(Write("half"), 0);
  EXPECT_EQ(Close(), 0);
  EXPECT_THAT(Tree(), IsEmpty());
  EXPECT_EQ(Commit().error_number(), EBADF);
}

TEST_F(FileServerTest, ReplacesAndKeepsWhatReadersHave) {
  Put(workspace_ / "a", "old");
  ASSERT_EQ(OpenToRead("a", 7).error_number(), 0);
  ASSERT_EQ(OpenToWrite("a", {.handle = 8, .executable = true}), 0);
  ASSERT_EQ(Write("new!", 8), 0);
  EXPECT_TRUE(Commit(8).infos(0).is_executable());
  EXPECT_EQ(Get(workspace_ / "a"), "new!");
  EXPECT_EQ(Read(0, 100, 7).data(), "old");
  EXPECT_THAT(Tree(), ElementsAre("a"));
}

TEST_F(FileServerTest, MustNotExistHoldsUntilTheCommit) {
  Put(workspace_ / "a", "old");
  EXPECT_EQ(OpenToWrite("a", {.must_not_exist = true}), EEXIST);
  ASSERT_EQ(OpenToWrite("b", {.must_not_exist = true}), 0);
  Put(workspace_ / "b", "sooner");
  EXPECT_EQ(Commit().error_number(), EEXIST);
  EXPECT_EQ(Get(workspace_ / "b"), "sooner");
}

TEST_F(FileServerTest, MakesParentsOnlyWhereAsked) {
  EXPECT_EQ(OpenToWrite("x/y/z"), ENOENT);
  ASSERT_EQ(OpenToWrite("x/y/z", {.make_parents = true}), 0);
  ASSERT_EQ(Write("1"), 0);
  ASSERT_EQ(Commit().error_number(), 0);
  EXPECT_THAT(Tree(), ElementsAre("x/", "x/y/", "x/y/z"));
  EXPECT_EQ(OpenToWrite("x/y/z/w", {.make_parents = true}), ENOTDIR);
  EXPECT_EQ(OpenToWrite("x/y"), EISDIR);
}

TEST_F(FileServerTest, PathOf4096BytesIsReached) {
  std::string path;
  while (path.size() + 200 < 4096) path += std::string(199, 'd') + "/";
  path += std::string(4096 - path.size(), 'f');
  ASSERT_EQ(path.size(), 4096u);
  ASSERT_EQ(OpenToWrite(path, {.make_parents = true}), 0);
  ASSERT_EQ(Commit().error_number(), 0);
  EXPECT_EQ(Stat(path).infos(0).kind(), PathInfo::KIND_FILE);
  EXPECT_EQ(OpenToRead(path).error_number(), 0);
  EXPECT_EQ(Remove(path).error_number(), 0);
  EXPECT_EQ(OpenToWrite(std::string(256, 'n'), {.handle = 2}), ENAMETOOLONG);
}

TEST_F(FileServerTest, ReadsPartsToTheEnd) {
  Put(workspace_ / "a", "0123456789");
  ASSERT_EQ(OpenToRead("a").infos(0).size_bytes(), 10);
  EXPECT_EQ(Read(0, 4).data(), "0123");
  EXPECT_EQ(Read(8, 4).data(), "89");
  EXPECT_EQ(Read(10, 4).data(), "");
  EXPECT_EQ(Read(int64_t{1} << 62, 4).error_number(), 0);
  EXPECT_EQ(Read(INT64_MAX, 4).error_number(), 0);
  EXPECT_EQ(Read(-1, 4).error_number(), EINVAL);
  EXPECT_EQ(Read(0, -1).error_number(), EINVAL);
  EXPECT_EQ(Write("x"), EBADF);
  EXPECT_EQ(Read(0, 4, 99).error_number(), EBADF);
}

TEST_F(FileServerTest, PartsAreBounded) {
  Put(workspace_ / "a", std::string(3 << 20, 'x'));
  ASSERT_EQ(OpenToRead("a").error_number(), 0);
  EXPECT_EQ(Read(0, int64_t{1} << 40).data().size(), kMaxFilePartBytes);
  ASSERT_EQ(OpenToWrite("b", {.handle = 2}), 0);
  EXPECT_EQ(Write(std::string(kMaxFilePartBytes + 1, 'x'), 2), EINVAL);
}

TEST_F(FileServerTest, OpenFilesAreBounded) {
  Put(workspace_ / "a", "");
  for (int64_t handle = 1; handle <= int64_t{kMaxOpenFiles}; ++handle) {
    ASSERT_EQ(OpenToRead("a", handle).error_number(), 0);
  }
  EXPECT_EQ(OpenToRead("a", 100).error_number(), EMFILE);
  EXPECT_EQ(OpenToWrite("b", {.handle = 100}), EMFILE);
  EXPECT_EQ(OpenToRead("a", 3).error_number(), EINVAL);  // it is taken
  EXPECT_EQ(Close(3), 0);
  EXPECT_EQ(OpenToRead("a", 100).error_number(), 0);
}

TEST_F(FileServerTest, TellsWhatLiesAtAPath) {
  std::filesystem::create_directory(workspace_ / "d");
  std::filesystem::create_symlink("d", workspace_ / "l");
  ASSERT_EQ(mkfifo((workspace_ / "p").c_str(), 0600), 0);
  EXPECT_EQ(Stat("d").infos(0).kind(), PathInfo::KIND_DIRECTORY);
  EXPECT_EQ(Stat("l").infos(0).kind(), PathInfo::KIND_SYMBOLIC_LINK);
  EXPECT_EQ(Stat("p").infos(0).kind(), PathInfo::KIND_OTHER);
  EXPECT_EQ(Stat("").infos(0).kind(), PathInfo::KIND_DIRECTORY);
  EXPECT_EQ(Stat("nothing").error_number(), ENOENT);
  EXPECT_EQ(Stat("l/x").error_number(), ELOOP);
}

TEST_F(FileServerTest, TimesThatNanosecondsCannotCountAreLeftOut) {
  Put(workspace_ / "a", "");
  const timespec far[2] = {{0, 0}, {int64_t{1} << 40, 5}};
  ASSERT_EQ(utimensat(AT_FDCWD, (workspace_ / "a").c_str(), far, 0), 0);
  const FileReply reply = Stat("a");
  EXPECT_EQ(reply.error_number(), 0);
  EXPECT_EQ(reply.infos(0).modify_time_nanoseconds(), 0);
}

TEST_F(FileServerTest, MakesDirectoriesTwice) {
  EXPECT_EQ(MakeDirectory("a/b").error_number(), 0);
  EXPECT_EQ(MakeDirectory("a/b").infos(0).kind(), PathInfo::KIND_DIRECTORY);
  EXPECT_EQ(MakeDirectory("c/d", false).error_number(), ENOENT);
  Put(workspace_ / "f", "");
  EXPECT_EQ(MakeDirectory("f").error_number(), EEXIST);
  EXPECT_EQ(MakeDirectory("f/x").error_number(), ENOTDIR);
}

TEST_F(FileServerTest, EmptyRequestIsInvalid) {
  EXPECT_EQ(Ask(FileRequest()).error_number(), EINVAL);
}

// In a process of its own, since a limit cannot be raised again.
TEST_F(FileServerTest, FileLimitIsAnErrorAndNoSignal) {
  const auto write_too_much = [this] {
    const rlimit limit = {.rlim_cur = 1000, .rlim_max = 1000};
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(2);
    _exit(OpenToWrite("a") == 0 && Write(std::string(2000, 'x')) == EFBIG ? 0 : 1);
  };
  EXPECT_EXIT(write_too_much(), ::testing::ExitedWithCode(0), "");
  EXPECT_THAT(Tree(), IsEmpty());
}

}  // namespace
}  // namespace cloister::sandbox
