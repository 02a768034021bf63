// Ends: of zygotes, nurseries, inits, the keeper, cloisterd and the spawner itself. Needs root.

#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/wire/zygote_control.h"
#include "tests/integration/spawner/spawner_fixture.h"

namespace cloister::sandbox {
namespace {

namespace fs = std::filesystem;
using internal::v1::SpawnerEvent;
using internal::v1::SpawnerRequest;
using ::testing::HasSubstr;

bool AnyGroupLeft(const internal::v1::SpawnerReady& ready) {
  for (const std::string& path : ready.cgroup_paths()) {
    if (fs::exists(path)) return true;
  }
  return false;
}

TEST_F(SpawnerTest, SaysWhyAZygoteCannotStart) {
  internal::v1::ZygoteSpec spec = client_->Spec();
  spec.add_warm_up_imports("missing");
  const Received failed = client_->StartZygote(2, spec);
  EXPECT_THAT(failed.event.zygote_failed().message(),
              HasSubstr("warm-up: no module named missing"));
  EXPECT_TRUE(failed.event.zygote_failed().is_permanent());
  spec.set_warm_up_imports(0, "die");
  EXPECT_THAT(client_->StartZygote(3, spec).event.zygote_failed().message(),
              HasSubstr("killed by signal 6"));
  spec = client_->Spec();
  spec.set_image_root("/nonexistent");
  EXPECT_THAT(client_->StartZygote(4, spec).event.zygote_failed().message(),
              HasSubstr("mount tree: bind the image /nonexistent"));
  spec = client_->Spec();
  spec.set_guest_binary("/nonexistent");
  EXPECT_THAT(client_->StartZygote(5, spec).event.zygote_failed().message(),
              HasSubstr("open the guest binary /nonexistent"));
}

TEST_F(SpawnerTest, EndsAZygoteThatDoesNotAnswer) {
  const CreatedSandbox sandbox = client_->Create(7, 1);
  ReadGuestFrame(sandbox);
  ASSERT_EQ(kill(FindProcess("zygote"), SIGSTOP), 0);
  SpawnerRequest request;
  request.mutable_stop_zygote()->set_zygote_id(1);
  request.mutable_stop_zygote()->set_kill(true);
  client_->Send(request);
  EXPECT_EQ(client_->Next(SpawnerEvent::kSandboxExited).event.sandbox_exited().sandbox_id(), 7);
  EXPECT_THAT(client_->Next(SpawnerEvent::kZygoteExited).event.zygote_exited().reason(),
              HasSubstr("signal 9"));
}

TEST_F(SpawnerTest, EndsAZygoteWhosePacketDoesNotParse) {
  const CreatedSandbox sandbox = client_->Create(7, 1);
  ReadGuestFrame(sandbox);
  const std::vector<pid_t> tree = ProcessTree(FindProcess("nursery"));
  const UniqueFd zygote(static_cast<int>(syscall(SYS_pidfd_open, FindProcess("zygote"), 0)));
  const UniqueFd control(
      static_cast<int>(syscall(SYS_pidfd_getfd, zygote.get(), kZygoteControlDescriptor, 0)));
  ASSERT_TRUE(control) << "needs CAP_SYS_PTRACE";
  constexpr char kNoMessage[] = "\xff\xff\xff";
  ASSERT_GT(send(control.get(), kNoMessage, sizeof(kNoMessage), MSG_NOSIGNAL), 0);
  EXPECT_EQ(client_->Next(SpawnerEvent::kSandboxExited).event.sandbox_exited().sandbox_id(), 7);
  EXPECT_THAT(client_->Next(SpawnerEvent::kZygoteExited).event.zygote_exited().reason(),
              HasSubstr("signal 9"));
  EXPECT_TRUE(AllGone(tree));
  // The spawner goes on.
  EXPECT_TRUE(client_->StartZygote(2, client_->Spec()).event.has_zygote_started());
}

TEST_F(SpawnerTest, StartsAnotherKeeperThatCleansUpAfterIt) {
  const pid_t first = FindProcess("keeper");
  ASSERT_EQ(kill(first, SIGKILL), 0);
  pid_t second = first;
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while ((second == first || second < 0) && absl::Now() < deadline) {
    for (pid_t pid : ProcessTree(client_->pid())) {
      if (pid != first && ProcessName(pid) == "keeper") second = pid;
    }
  }
  ASSERT_NE(second, first);
  const std::vector<pid_t> tree = ProcessTree(client_->pid());
  ASSERT_EQ(kill(client_->pid(), SIGKILL), 0);
  client_->Wait();
  EXPECT_TRUE(AllGone(tree));
  EXPECT_FALSE(AnyGroupLeft(client_->ready()));
}

TEST_F(SpawnerTest, RetiresAZygoteAfterItsLastSandbox) {
  const CreatedSandbox sandbox = client_->Create(7, 1);
  SpawnerRequest request;
  request.mutable_stop_zygote()->set_zygote_id(1);
  client_->Send(request);
  RunProgram(sandbox, "exit 3");
  EXPECT_EQ(client_->Next().event.sandbox_exited().wait_status(), 3);
  const Received exited = client_->Next();
  ASSERT_TRUE(exited.event.has_zygote_exited());
  EXPECT_EQ(exited.event.zygote_exited().reason(), "");
}

TEST_F(SpawnerTest, ReportsEverySandboxOfAZygoteThatDies) {
  const CreatedSandbox first = client_->Create(7, 1);
  const CreatedSandbox second = client_->Create(8, 1);
  const std::vector<pid_t> tree = ProcessTree(FindProcess("nursery"));
  kill(FindProcess("zygote"), SIGKILL);
  EXPECT_TRUE(client_->Next().event.has_sandbox_exited());
  EXPECT_TRUE(client_->Next().event.has_sandbox_exited());
  EXPECT_THAT(client_->Next().event.zygote_exited().reason(), HasSubstr("signal 9"));
  EXPECT_TRUE(AllGone(tree));
  // The spawner goes on.
  EXPECT_TRUE(client_->StartZygote(2, client_->Spec()).event.has_zygote_started());
}

TEST_F(SpawnerTest, EndsEverythingWhenANurseryIsKilled) {
  const CreatedSandbox sandbox = client_->Create(7, 1);
  const pid_t nursery = FindProcess("nursery");
  const std::vector<pid_t> tree = ProcessTree(nursery);
  kill(nursery, SIGKILL);
  EXPECT_TRUE(client_->Next(SpawnerEvent::kSandboxExited).event.has_sandbox_exited());
  EXPECT_TRUE(client_->Next(SpawnerEvent::kZygoteExited).event.has_zygote_exited());
  EXPECT_TRUE(AllGone(tree));
}

TEST_F(SpawnerTest, EndsASandboxWhoseInitIsKilled) {
  const CreatedSandbox sandbox = client_->Create(7, 1);
  EXPECT_TRUE(ReadGuestFrame(sandbox).has_ready());  // it has joined its init
  const std::string own = absl::StrCat("/proc/", sandbox.host_pid, "/ns/pid");
  for (pid_t pid : ProcessTree(client_->pid())) {
    std::error_code ignored;
    if (ProcessName(pid) == "sandbox-init" &&
        fs::read_symlink(absl::StrCat("/proc/", pid, "/ns/pid"), ignored) ==
            fs::read_symlink(own, ignored)) {
      kill(pid, SIGKILL);
    }
  }
  EXPECT_EQ(client_->WaitForExit(7).wait_status(), SIGKILL);
}

TEST_F(SpawnerTest, LeavesNothingWhenCloisterdGoes) {
  const CreatedSandbox sandbox = client_->Create(7, 1);
  RunProgram(sandbox, "sleep");
  const std::vector<pid_t> tree = ProcessTree(client_->pid());
  EXPECT_GE(tree.size(), 7u);  // spawner, keeper, nursery, zygote, inits, sandbox
  const internal::v1::SpawnerReady ready = client_->ready();
  EXPECT_EQ(client_->Close(), 0);
  EXPECT_TRUE(AllGone(tree));
  EXPECT_FALSE(AnyGroupLeft(ready));
}

TEST_F(SpawnerTest, LeavesNothingWhenTheSpawnerIsKilled) {
  const CreatedSandbox sandbox = client_->Create(7, 1);
  RunProgram(sandbox, "sleep");
  const std::vector<pid_t> tree = ProcessTree(client_->pid());
  const internal::v1::SpawnerReady ready = client_->ready();
  EXPECT_TRUE(AnyGroupLeft(ready));
  kill(client_->pid(), SIGKILL);
  client_->Wait();
  EXPECT_TRUE(AllGone(tree));  // the keeper of the cgroups as well, when it has done its work
  EXPECT_FALSE(AnyGroupLeft(ready));
}

}  // namespace
}  // namespace cloister::sandbox
