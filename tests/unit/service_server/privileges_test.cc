// Giving up root, tried in a child process. Needs root and fails without it.

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "gtest/gtest.h"
#include "sandbox/linux/capabilities.h"
#include "service/server/service_user.h"

namespace cloister::server {
namespace {

// 0 where everything is gone; otherwise the number of the first check that failed.
int DropAndCheck() {
  const auto user = FindServiceUser("nobody");
  if (!user.ok()) return 1;
  if (!DropPrivileges(*user).ok()) return 2;
  uid_t real, effective, saved;
  ::getresuid(&real, &effective, &saved);
  if (real != user->uid || effective != user->uid || saved != user->uid) return 3;
  gid_t real_group, effective_group, saved_group;
  ::getresgid(&real_group, &effective_group, &saved_group);
  if (real_group != user->gid || effective_group != user->gid || saved_group != user->gid) return 4;
  if (::getgroups(0, nullptr) != 0) return 5;
  const auto capable = sandbox::HasAnyCapability();
  if (!capable.ok() || *capable) return 6;
  if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 7;
  if (::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) return 8;
  if (::setuid(0) == 0) return 9;
  return 0;
}

TEST(DropPrivilegesTest, LeavesNothingBehind) {
  ASSERT_EQ(::geteuid(), 0u) << "this test needs root";
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(DropAndCheck());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(ServiceUserTest, FindsNamesAndNumbers) {
  EXPECT_EQ(FindServiceUser("nobody")->uid, 65534u);
  const passwd* dedicated = ::getpwnam(kDedicatedUser);
  EXPECT_EQ(FindServiceUser(kDedicatedUser)->uid,
            dedicated == nullptr ? 65534u : dedicated->pw_uid);
  EXPECT_EQ(FindServiceUser("1234:5678")->uid, 1234u);
  EXPECT_EQ(FindServiceUser("1234:5678")->gid, 5678u);
  EXPECT_FALSE(FindServiceUser("root").ok());
  EXPECT_FALSE(FindServiceUser("0:0").ok());
  EXPECT_FALSE(FindServiceUser("no-such-user").ok());
}

TEST(DescriptorLimitTest, IsRaisedToWhatIsAllowed) {
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  RaiseDescriptorLimit();
  rlimit after{};
  ::getrlimit(RLIMIT_NOFILE, &after);
  EXPECT_EQ(after.rlim_cur, after.rlim_max);
  EXPECT_GE(after.rlim_cur, before.rlim_cur);
}

}  // namespace
}  // namespace cloister::server
