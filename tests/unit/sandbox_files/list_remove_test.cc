// Lists and removals: order, pages, depth, and trees as a hostile program makes them.

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sandbox/files/list_directory.h"
#include "sandbox/files/remove_beneath.h"
#include "tests/unit/sandbox_files/file_server_fixture.h"

namespace cloister::sandbox {
namespace {

using internal::v1::PathInfo;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ListRemoveTest : public FileServerTest {
 protected:
  // Directories inside one another, deeper than a path can say.
  void MakeChain(int depth) {
    UniqueFd fd(open(workspace_.c_str(), O_PATH | O_DIRECTORY));
    for (int i = 0; i < depth; ++i) {
      ASSERT_EQ(mkdirat(fd.get(), "d", 0755), 0);
      fd.reset(openat(fd.get(), "d", O_PATH | O_DIRECTORY));
      ASSERT_TRUE(fd);
      const UniqueFd file(openat(fd.get(), "f", O_CREAT | O_WRONLY, 0644));
    }
  }
  // All pages, and how many there were.
  std::vector<std::string> ListAll(const std::string& path, bool recursive, int count,
                                   int* pages = nullptr) {
    std::vector<std::string> all;
    std::string after;
    for (int page = 1;; ++page) {
      const FileReply reply = List(path, recursive, after, count);
      EXPECT_EQ(reply.error_number(), 0);
      EXPECT_LE(reply.infos_size(), count);
      for (const std::string& name : Paths(reply)) all.push_back(name);
      if (pages != nullptr) *pages = page;
      if (!reply.is_partial()) return all;
      EXPECT_GT(reply.continue_after(), after);
      after = reply.continue_after();
    }
  }
};

TEST_F(ListRemoveTest, SortsByPathByteByByte) {
  for (const char* name : {"a.b", "b", "a0", "Z", "\xff"}) Put(workspace_ / name, "1");
  std::filesystem::create_directories(workspace_ / "a" / "x");
  Put(workspace_ / "a" / "y", "22");
  const std::vector<std::string> flat = {"Z", "a", "a.b", "a0", "b", "\xff"};
  const std::vector<std::string> deep = {"Z", "a", "a.b", "a/x", "a/y", "a0", "b", "\xff"};
  EXPECT_EQ(ListAll("", false, 1000), flat);
  EXPECT_EQ(ListAll("", true, 1000), deep);
  for (int count = 1; count < 9; ++count) {
    EXPECT_EQ(ListAll("", false, count), flat) << count;
    EXPECT_EQ(ListAll("", true, count), deep) << count;
  }
  EXPECT_THAT(ListAll("a", true, 1), ElementsAre("a/x", "a/y"));
}

TEST_F(ListRemoveTest, RecursivePagesEqualASortedWalk) {
  const std::string letters = "-./0a";  // on both sides of the slash
  std::vector<std::string> expected;
  for (int i = 0; i < 500; ++i) {
    std::string path;
    for (int n = i; n > 0; n /= 4) {
      if (!path.empty()) path += "/";
      path += std::string("x") + letters[static_cast<size_t>(n % 4) + (n % 4 >= 2 ? 1 : 0)];
    }
    if (!path.empty()) std::filesystem::create_directories(workspace_ / path);
  }
  for (const std::string& name : Tree()) {
    expected.push_back(name.back() == '/' ? name.substr(0, name.size() - 1) : name);
  }
  std::sort(expected.begin(), expected.end());
  for (const int count : {1, 7, 64, 1000}) EXPECT_EQ(ListAll("", true, count), expected);
}

TEST_F(ListRemoveTest, HundredThousandNamesInPages) {
  const UniqueFd fd(open(workspace_.c_str(), O_PATH | O_DIRECTORY));
  for (int i = 0; i < 100'000; ++i) {
    ASSERT_EQ(symlinkat("t", fd.get(), std::to_string(i * 7919 % 100'003).c_str()), 0);
  }
  int pages = 0;
  const std::vector<std::string> all = ListAll("", false, 1000, &pages);
  EXPECT_EQ(all.size(), 100'000u);
  EXPECT_EQ(pages, 100);
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
  EXPECT_EQ(Remove("", true).error_number(), EINVAL);  // /workspace itself stays
}

TEST_F(ListRemoveTest, PagesOfLongPathsAreShorter) {
  std::string deep;
  for (int i = 0; i < 12; ++i) deep += std::string(250, 'd') + "/";
  std::filesystem::create_directories(workspace_ / deep);
  for (int i = 0; i < 1000; ++i) {
    std::string name = std::to_string(i);
    Put(workspace_ / deep / (name + std::string(250 - name.size(), 'f')), "");
  }
  deep.pop_back();
  const FileReply reply = List(deep);
  EXPECT_TRUE(reply.is_partial());
  EXPECT_LT(reply.ByteSizeLong(), size_t{1200} << 10);
  EXPECT_EQ(ListAll(deep, false, 1000).size(), 1000u);
}

TEST_F(ListRemoveTest, ListGoesNoDeeperThanItSays) {
  MakeChain(200);
  const std::vector<std::string> all = ListAll("", true, 1000);
  EXPECT_EQ(all.size(), 2u * kMaxListDepth - 1);
  // The rest can be asked for.
  std::string deepest = "d";
  for (int i = 1; i < kMaxListDepth; ++i) deepest += "/d";
  EXPECT_EQ(ListAll(deepest, true, 1000).size(), 2u * kMaxListDepth);
}

TEST_F(ListRemoveTest, ListRefusesWhatIsNoDirectory) {
  Put(workspace_ / "f", "");
  std::filesystem::create_directory_symlink(base_ / "outside", workspace_ / "l");
  EXPECT_EQ(List("f").error_number(), ENOTDIR);
  EXPECT_EQ(List("l").error_number(), ELOOP);
  EXPECT_EQ(List("nothing").error_number(), ENOENT);
  EXPECT_THAT(Paths(List("", true)), ElementsAre("f", "l"));
}

TEST_F(ListRemoveTest, RemovesFilesLinksAndEmptyDirectories) {
  Put(workspace_ / "f", "");
  std::filesystem::create_directory(workspace_ / "d");
  std::filesystem::create_directory_symlink(base_ / "outside", workspace_ / "l");
  ASSERT_EQ(mkfifo((workspace_ / "p").c_str(), 0600), 0);
  for (const char* name : {"f", "d", "l", "p"}) EXPECT_EQ(Remove(name).error_number(), 0) << name;
  EXPECT_THAT(Tree(), IsEmpty());
  EXPECT_EQ(Get(base_ / "outside" / "secret"), "secret");
  EXPECT_EQ(Remove("f").error_number(), ENOENT);
  EXPECT_EQ(Remove("f", false, true).error_number(), 0);
}

TEST_F(ListRemoveTest, RemovesFullDirectoriesOnlyWhereAsked) {
  std::filesystem::create_directories(workspace_ / "d" / "e");
  Put(workspace_ / "d" / "e" / "f", "");
  std::filesystem::create_directory_symlink(base_ / "outside", workspace_ / "d" / "l");
  EXPECT_EQ(Remove("d").error_number(), ENOTEMPTY);
  EXPECT_EQ(Remove("d", true).error_number(), 0);
  EXPECT_THAT(Tree(), IsEmpty());
  EXPECT_EQ(Get(base_ / "outside" / "secret"), "secret");
}

TEST_F(ListRemoveTest, RemovesChainsOfAnyDepth) {
  MakeChain(4000);
  EXPECT_EQ(Remove("d", true).error_number(), 0);
  EXPECT_THAT(Tree(), IsEmpty());
}

TEST_F(ListRemoveTest, LargeRemovalsComeInSteps) {
  std::filesystem::create_directory(workspace_ / "d");
  const UniqueFd fd(open((workspace_ / "d").c_str(), O_PATH | O_DIRECTORY));
  for (int i = 0; i < kMaxRemovedEntries + 5; ++i) {
    ASSERT_EQ(symlinkat("t", fd.get(), std::to_string(i).c_str()), 0);
  }
  EXPECT_TRUE(Remove("d", true).is_partial());
  const FileReply rest = Remove("d", true);
  EXPECT_EQ(rest.error_number(), 0);
  EXPECT_FALSE(rest.is_partial());
  EXPECT_THAT(Tree(), IsEmpty());
}

}  // namespace
}  // namespace cloister::sandbox
