// A real spawner, zygotes and sandboxes, with a guest of a few lines instead of Python. Needs root.

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/spawner/spawner_fixture.h"

namespace cloister::sandbox {
namespace {

namespace fs = std::filesystem;
using internal::v1::Facilities;
using internal::v1::SpawnerEvent;
using internal::v1::SpawnerRequest;
using ::testing::HasSubstr;

int64_t CountDescriptors(pid_t pid) {
  int64_t count = 0;
  for ([[maybe_unused]] const auto& entry :
       fs::directory_iterator(absl::StrCat("/proc/", pid, "/fd"))) {
    ++count;
  }
  return count;
}

int64_t CountGroups(const internal::v1::SpawnerReady& ready) {
  int64_t count = 0;
  for (const std::string& path : ready.cgroup_paths()) {
    for (const auto& entry : fs::directory_iterator(path)) count += entry.is_directory() ? 1 : 0;
  }
  return count;
}

// As the kernel names it on the machine, whatever user namespace it is in.
std::string UserOf(pid_t pid) {
  std::ifstream status(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("Uid:")) return line;
  }
  return "";
}

TEST_F(SpawnerTest, OffersEveryLayerAsRoot) {
  EXPECT_EQ(client_->ready().facilities().setting(), Facilities::SETTING_ROOT);
  for (const auto& facility : client_->ready().facilities().facilities()) {
    EXPECT_TRUE(facility.available()) << facility.name() << ": " << facility.detail();
  }
}

TEST_F(SpawnerTest, RunsAProgramInItsOwnWorld) {
  const CreatedSandbox sandbox = client_->Create(7, 1);
  EXPECT_TRUE(ReadGuestFrame(sandbox).has_ready());
  RunProgram(sandbox, "describe\ncomplain 5");
  EXPECT_EQ(ReadLines(sandbox.output.get(), 1),
            "pid=2 tid_right=1 uid=1000 gid=1000 host=sandbox cwd=/workspace workspace=8388608\n");
  EXPECT_EQ(ReadLines(sandbox.error.get(), 1), "5\n");
  EXPECT_TRUE(ReadGuestFrame(sandbox).has_finished());
  client_->Kill(7);
  EXPECT_EQ(client_->WaitForExit(7).wait_code(), CLD_KILLED);
}

TEST_F(SpawnerTest, GivesEachSandboxAUserOfItsOwn) {
  ASSERT_TRUE(client_->StartZygote(2, client_->Spec()).event.has_zygote_started());
  std::vector<CreatedSandbox> sandboxes;
  std::set<std::string> users;
  for (int64_t id = 10; id < 14; ++id) {
    sandboxes.push_back(client_->Create(id, id < 12 ? 1 : 2));
    EXPECT_TRUE(ReadGuestFrame(sandboxes.back()).has_ready());
    users.insert(UserOf(sandboxes.back().host_pid));
  }
  EXPECT_EQ(users.size(), 4u) << ::testing::PrintToString(users);
  // What the kernel counts by user, nobody uses up for another.
  for (const CreatedSandbox& sandbox : sandboxes) {
    RunProgram(sandbox, "timers 10000");
    EXPECT_EQ(ReadLines(sandbox.output.get(), 1), "512\n");
  }
}

TEST_F(SpawnerTest, LetsProgramsWriteWhereTheyMayOnly) {
  const CreatedSandbox sandbox = client_->Create(7, 1);
  ReadGuestFrame(sandbox);
  RunProgram(sandbox, "try_open");
  EXPECT_EQ(ReadLines(sandbox.output.get(), 1),
            "/=1 /workspace/file=1 /tmp/file=1 /dev/null=1 /file=0 /etc=0 \n");
}

TEST_F(SpawnerTest, TellsTheTimesOfAllStages) {
  const CreatedSandbox sandbox = client_->Create(7, 1);
  const internal::v1::GuestFrame frame = ReadGuestFrame(sandbox);
  std::string stages;
  for (const auto& time : frame.ready().stage_times()) {
    EXPECT_GE(time.nanoseconds(), 0);
    absl::StrAppend(&stages, time.stage(), " ");
  }
  EXPECT_EQ(
      stages,
      "clone after_fork namespaces process_group ids capabilities workspace landlock descriptors "
      "seccomp prepare ");
}

struct EndCase {
  const char* program;
  int wait_code;
  int wait_status;
};

class SpawnerEndTest : public SpawnerTest, public ::testing::WithParamInterface<EndCase> {};

TEST_P(SpawnerEndTest, ReportsHowTheFirstProcessEnded) {
  const CreatedSandbox sandbox = client_->Create(7, 1);
  RunProgram(sandbox, GetParam().program);
  const internal::v1::SandboxExited exited = client_->WaitForExit(7);
  EXPECT_EQ(exited.wait_code(), GetParam().wait_code);
  EXPECT_EQ(exited.wait_status(), GetParam().wait_status);
  EXPECT_EQ(exited.oom_kill_count(), 0);
}

INSTANTIATE_TEST_SUITE_P(All, SpawnerEndTest,
                         ::testing::Values(EndCase{"exit 0", CLD_EXITED, 0},
                                           EndCase{"exit 42", CLD_EXITED, 42},
                                           EndCase{"abort", CLD_KILLED, SIGABRT},
                                           EndCase{"raise 11", CLD_KILLED, SIGSEGV},
                                           EndCase{"raise 9", CLD_KILLED, SIGKILL}));

TEST_F(SpawnerTest, CountsTheKillOfAMemoryHog) {
  const CreatedSandbox sandbox = client_->Create(7, 1);
  ASSERT_TRUE(sandbox.peak) << "no memory cgroup";
  RunProgram(sandbox, "allocate 256");
  const internal::v1::SandboxExited exited = client_->WaitForExit(7);
  EXPECT_EQ(exited.wait_code(), CLD_KILLED);
  EXPECT_EQ(exited.wait_status(), SIGKILL);
  EXPECT_GE(exited.oom_kill_count(), 1);
  EXPECT_GT(exited.peak_memory_bytes(), 60 << 20);
}

TEST_F(SpawnerTest, StartsEverySandboxWithAFreshCount) {
  {
    const CreatedSandbox hog = client_->Create(7, 1);
    RunProgram(hog, "allocate 256");
    EXPECT_GE(client_->WaitForExit(7).oom_kill_count(), 1);
  }
  const CreatedSandbox modest = client_->Create(8, 1);
  RunProgram(modest, "exit 0");
  const internal::v1::SandboxExited exited = client_->WaitForExit(8);
  EXPECT_EQ(exited.oom_kill_count(), 0);
  EXPECT_LT(exited.peak_memory_bytes(), 32 << 20);
}

TEST_F(SpawnerTest, ChangesLimitsFromOutside) {
  const CreatedSandbox sandbox = client_->Create(7, 1);
  SpawnerRequest request;
  request.mutable_set_sandbox_limits()->set_sandbox_id(7);
  request.mutable_set_sandbox_limits()->mutable_limits()->set_memory_bytes(300 << 20);
  request.mutable_set_sandbox_limits()->set_workspace_bytes(16 << 20);
  client_->Send(request);
  EXPECT_EQ(client_->Next(SpawnerEvent::kSandboxLimitsSet).event.sandbox_limits_set().error(), "");
  RunProgram(sandbox, "describe\nallocate 128\nexit 4");
  EXPECT_THAT(ReadLines(sandbox.output.get(), 1), HasSubstr("workspace=16777216\n"));
  EXPECT_EQ(client_->WaitForExit(7).wait_status(), 4);
}

TEST_F(SpawnerTest, PassesSignalsOn) {
  const CreatedSandbox sandbox = client_->Create(7, 1);
  RunProgram(sandbox, "say 1\nsleep");
  EXPECT_EQ(ReadLines(sandbox.output.get(), 1), "1\n");
  SpawnerRequest request;
  request.mutable_signal_sandbox()->set_sandbox_id(7);
  request.mutable_signal_sandbox()->set_signal(SIGUSR1);
  client_->Send(request);
  EXPECT_EQ(client_->WaitForExit(7).wait_status(), SIGUSR1);
}

TEST_F(SpawnerTest, RefusesWhatDoesNotExist) {
  SpawnerRequest request;
  request.mutable_create_sandbox()->set_sandbox_id(5);
  request.mutable_create_sandbox()->set_zygote_id(99);
  client_->Send(request);
  const Received failed = client_->Next();
  EXPECT_THAT(failed.event.sandbox_failed().message(), HasSubstr("no ready zygote 99"));
  client_->Kill(12345);  // ignored
  request.mutable_set_sandbox_limits()->set_sandbox_id(5);
  client_->Send(request);
  EXPECT_NE(client_->Next().event.sandbox_limits_set().error(), "");
}

TEST_F(SpawnerTest, ThousandSandboxesLeakNothing) {
  const auto run = [this](int64_t id) {
    const CreatedSandbox sandbox = client_->Create(id, 1);
    RunProgram(sandbox, "exit 0");
    client_->WaitForExit(id);
  };
  for (int64_t id = 1; id <= 10; ++id) run(id);
  const pid_t zygote = FindProcess("zygote");
  const int64_t own = CountDescriptors(client_->pid());
  const int64_t zygotes = CountDescriptors(zygote);
  const int64_t groups = CountGroups(client_->ready());
  for (int64_t id = 11; id <= 1010; ++id) run(id);
  // Two more: the last sandbox may not be quite forgotten when its end is reported.
  EXPECT_LE(CountDescriptors(client_->pid()), own + 2);
  EXPECT_LE(CountDescriptors(zygote), zygotes);
  EXPECT_EQ(CountGroups(client_->ready()), groups);
  // Spawner, keeper, nursery, zygote, and the inits that wait for the next sandboxes.
  EXPECT_LE(ProcessTree(client_->pid()).size(), 7u);
}

TEST_F(SpawnerTest, KeepsManySandboxesAtOnce) {
  constexpr int kCount = 100;
  for (int64_t id = 1; id <= kCount; ++id) {
    SpawnerRequest request;
    request.mutable_create_sandbox()->set_sandbox_id(id);
    request.mutable_create_sandbox()->set_zygote_id(1);
    client_->Send(request);
  }
  // Kept: a sandbox whose channel is closed ends by itself.
  std::vector<Received> created;
  for (int i = 0; i < kCount; ++i) {
    created.push_back(client_->Next());
    ASSERT_TRUE(created.back().event.has_sandbox_created())
        << created.back().event.ShortDebugString();
  }
  for (int64_t id = 1; id <= kCount; ++id) client_->Kill(id);
  for (int i = 0; i < kCount; ++i) {
    const Received received = client_->Next();
    EXPECT_TRUE(received.event.has_sandbox_exited()) << received.event.ShortDebugString();
  }
}

TEST(RootlessSpawnerTest, RunsSandboxesOfAnOrdinaryUser) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to become an ordinary user";
  SpawnerClient client({"/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"});
  if (client.ready().facilities().setting() != Facilities::SETTING_ROOTLESS) {
    GTEST_SKIP() << "this machine allows ordinary users no user namespaces";
  }
  const Received started = client.StartZygote(1, client.Spec());
  ASSERT_TRUE(started.event.has_zygote_started()) << started.event.ShortDebugString();
  const CreatedSandbox sandbox = client.Create(7, 1);
  const internal::v1::GuestFrame frame = ReadGuestFrame(sandbox);
  ASSERT_TRUE(frame.has_ready()) << frame.ShortDebugString();
  SpawnerRequest request;
  request.mutable_set_sandbox_limits()->set_sandbox_id(7);
  request.mutable_set_sandbox_limits()->set_workspace_bytes(16 << 20);
  client.Send(request);
  EXPECT_EQ(client.Next().event.sandbox_limits_set().error(), "");
  RunProgram(sandbox, "describe\ntry_open");
  EXPECT_EQ(ReadLines(sandbox.output.get(), 2),
            "pid=2 tid_right=1 uid=1000 gid=1000 host=sandbox cwd=/workspace workspace=16777216\n"
            "/=1 /workspace/file=1 /tmp/file=1 /dev/null=1 /file=0 /etc=0 \n");
  const std::vector<pid_t> tree = ProcessTree(client.pid());
  EXPECT_EQ(client.Close(), 0);
  EXPECT_TRUE(AllGone(tree));
}

}  // namespace
}  // namespace cloister::sandbox
