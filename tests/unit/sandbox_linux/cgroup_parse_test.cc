#include "sandbox/linux/cgroup_parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace cloister::sandbox {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

TEST(ParseCounter, TakesWhatTheKernelWrites) {
  EXPECT_EQ(ParseCounter("0\n").value(), 0);
  EXPECT_EQ(ParseCounter("268435456").value(), 268435456);
  EXPECT_EQ(ParseCounter("max\n").value(), kMax);
  EXPECT_EQ(ParseCounter("9223372036854775807").value(), kMax);
  EXPECT_EQ(ParseCounter("99999999999999999999999").value(), kMax);
}

TEST(ParseCounter, RefusesAllElse) {
  for (const char* text :
       {"", "\n", "-1", "+1", " 1", "1 ", "1\n\n", "0x10", "1e3", "maximum", "1\n2"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseCounter(text).status())) << text;
  }
  EXPECT_FALSE(ParseCounter(std::string_view("1\0", 2)).ok());
}

TEST(ParseOomKills, ReadsBothVersions) {
  EXPECT_EQ(ParseOomKills("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n").value(), 3);
  EXPECT_EQ(ParseOomKills("low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 7\n").value(),
            1);
}

TEST(ParseOomKills, IsNotFooledBySimilarKeys) {
  EXPECT_FALSE(ParseOomKills("oom_kill_disable 1\noom_group_kill 7\n").ok());
  EXPECT_FALSE(ParseOomKills("xoom_kill 1\n").ok());
  EXPECT_FALSE(ParseOomKills("oom_kill\n").ok());
  EXPECT_FALSE(ParseOomKills("oom_kill -1\n").ok());
  EXPECT_FALSE(ParseOomKills("").ok());
}

TEST(ParseOomKills, ErrorsStayShort) {
  EXPECT_LT(ParseOomKills(std::string(1 << 20, '\xff')).status().message().size(), 1000u);
}

TEST(ParsePids, ReadsLines) {
  EXPECT_THAT(ParsePids("").value(), IsEmpty());
  EXPECT_THAT(ParsePids("1\n42\n").value(), ElementsAre(1, 42));
  // Not to be signalled: kill(0) would hit the caller's own group.
  EXPECT_THAT(ParsePids("0\n7\n").value(), ElementsAre(7));
  EXPECT_FALSE(ParsePids("-1\n").ok());
  EXPECT_FALSE(ParsePids("4294967297\n").ok());
}

TEST(ParseCgroupMounts, FindsBothVersions) {
  const auto mounts = ParseCgroupMounts(
      "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
      "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:3 master:1 - cgroup cgroup "
      "rw,cpu,cpuacct\n"
      "35 31 0:32 /docker/a\\040b /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
      "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n");
  ASSERT_EQ(mounts.size(), 3u);
  EXPECT_THAT(mounts[0].controllers, ElementsAre("rw", "cpu", "cpuacct"));
  EXPECT_EQ(mounts[1].root, "/docker/a b");
  EXPECT_EQ(mounts[1].mount_point, "/sys/fs/cgroup/memory");
  EXPECT_TRUE(mounts[2].unified);
  EXPECT_THAT(mounts[2].controllers, IsEmpty());
}

TEST(ParseCgroupMounts, SkipsWhatIsCutShort) {
  EXPECT_THAT(ParseCgroupMounts(""), IsEmpty());
  EXPECT_THAT(ParseCgroupMounts("1 2 - cgroup\n - cgroup cgroup rw\n1 2 3 4 5 6\n"), IsEmpty());
}

TEST(ParseOwnCgroup, FindsTheLine) {
  constexpr char kText[] = "12:cpu,cpuacct:/a\n4:memory:/odd:name\n1:name=systemd:/b\n0::/c\n";
  EXPECT_EQ(ParseOwnCgroup(kText, "cpuacct").value(), "/a");
  EXPECT_EQ(ParseOwnCgroup(kText, "memory").value(), "/odd:name");
  EXPECT_EQ(ParseOwnCgroup(kText, "").value(), "/c");
  EXPECT_TRUE(absl::IsNotFound(ParseOwnCgroup(kText, "pids").status()));
  EXPECT_TRUE(absl::IsNotFound(ParseOwnCgroup("4:memory:/x\n", "").status()));
}

TEST(DirectoryOf, JoinsMountAndGroup) {
  CgroupMount whole;
  whole.root = "/";
  whole.mount_point = "/sys/fs/cgroup";
  EXPECT_EQ(DirectoryOf(whole, "/"), "/sys/fs/cgroup");
  EXPECT_EQ(DirectoryOf(whole, "/a/b"), "/sys/fs/cgroup/a/b");
  CgroupMount part = whole;
  part.root = "/docker/x";
  EXPECT_EQ(DirectoryOf(part, "/docker/x"), "/sys/fs/cgroup");
  EXPECT_EQ(DirectoryOf(part, "/docker/x/y"), "/sys/fs/cgroup/y");
  EXPECT_EQ(DirectoryOf(part, "/"), "/sys/fs/cgroup");
}

}  // namespace
}  // namespace cloister::sandbox
