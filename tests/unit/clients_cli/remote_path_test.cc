#include "clients/cli/commands/remote_path.h"

#include <string>

#include "clients/cli/commands/utf8.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cloister::cli {
namespace {

TEST(RemotePathTest, TakesWhatPeopleWriteForWhatTheyMean) {
  for (const char* all : {"", ".", "./", "/workspace", "/workspace/", "/workspace/."}) {
    EXPECT_EQ(*RemotePath(all), "") << all;
  }
  EXPECT_EQ(*RemotePath("a"), "a");
  EXPECT_EQ(*RemotePath("./a/./b//"), "a/b");
  EXPECT_EQ(*RemotePath("/workspace/a"), "a");
  EXPECT_EQ(*RemotePath("..."), "...");
}

TEST(RemotePathTest, RefusesWhatIsOutside) {
  for (const char* outside : {"/", "/tmp/a", "/workspaces", "..", "a/../b", "/workspace/.."}) {
    EXPECT_FALSE(RemotePath(outside).ok()) << outside;
  }
  EXPECT_THAT(std::string(RemotePath("/").status().message()),
              testing::HasSubstr("/: is outside of /workspace"));
}

TEST(ShownPathTest, SendsNothingStrangeToATerminal) {
  EXPECT_EQ(ShownPath("ä b"), "ä b");
  EXPECT_EQ(ShownPath("\x1b[31m"), "\\033[31m");
  EXPECT_EQ(ShownPath("a\xe9"), "a\\351");
  EXPECT_EQ(ShownPath("a\ufffd"), "a\\ufffd");
}

}  // namespace
}  // namespace cloister::cli
