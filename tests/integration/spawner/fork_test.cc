// Copies of live sandboxes, made by a real spawner and zygote of a guest without Python. Needs
// root.

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <set>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/spawner/spawner_client.h"

namespace cloister::sandbox {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class ForkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    client_ = std::make_unique<SpawnerClient>();
    ASSERT_TRUE(client_->StartZygote(1, client_->Spec()).event.has_zygote_started());
  }

  CreatedSandbox CreateParent(int64_t id = 7) {
    CreatedSandbox parent = client_->Create(id, 1, /*forkable=*/true);
    EXPECT_TRUE(ReadGuestFrame(parent).has_ready());
    return parent;
  }

  // Of a parent that stands still.
  CreatedSandbox ForkPrepared(const CreatedSandbox& parent, int64_t id) {
    CreatedSandbox fork = TakeCreated(client_->Fork(parent.id, id));
    const internal::v1::GuestFrame frame = ReadGuestFrame(fork);
    EXPECT_TRUE(frame.has_ready()) << frame.ShortDebugString();
    return fork;
  }

  CreatedSandbox Fork(const CreatedSandbox& parent, int64_t id) {
    PrepareFork(parent);
    CreatedSandbox fork = ForkPrepared(parent, id);
    ResumeParent(parent);
    return fork;
  }

  std::string Run(const CreatedSandbox& sandbox, const std::string& program, int lines) {
    RunProgram(sandbox, program);
    std::string text = ReadLines(sandbox.output.get(), lines);
    EXPECT_TRUE(ReadGuestFrame(sandbox).has_finished());
    return text;
  }

  std::unique_ptr<SpawnerClient> client_;
};

TEST_F(ForkTest, CopiesMemoryOnce) {
  const CreatedSandbox parent = CreateParent();
  EXPECT_EQ(Run(parent, "count 5", 1), "counter=5\n");
  const CreatedSandbox fork = Fork(parent, 8);
  EXPECT_EQ(Run(fork, "count 1", 1), "counter=6\n");
  EXPECT_EQ(Run(parent, "count 10", 1), "counter=15\n");
  EXPECT_EQ(Run(fork, "count 1", 1), "counter=7\n");
}

TEST_F(ForkTest, CopiesFilesOnce) {
  const CreatedSandbox parent = CreateParent();
  Run(parent, "append 1", 0);
  const CreatedSandbox fork = Fork(parent, 8);
  Run(parent, "append 2", 0);
  Run(fork, "append 3", 0);
  EXPECT_EQ(Run(parent, "print", 2), "/workspace/log=1 2 \n/tmp/log=1 2 \n");
  EXPECT_EQ(Run(fork, "print", 2), "/workspace/log=1 3 \n/tmp/log=1 3 \n");
}

TEST_F(ForkTest, IsConfinedLikeAFreshSandbox) {
  const CreatedSandbox fresh = client_->Create(6, 1);
  EXPECT_TRUE(ReadGuestFrame(fresh).has_ready());
  const CreatedSandbox parent = CreateParent();
  const CreatedSandbox fork = Fork(parent, 8);
  for (const char* line : {"Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb",
                           "NoNewPrivs", "Seccomp", "Seccomp_filters", "Threads", "TracerPid",
                           "Cpus_allowed", "SigBlk", "SigIgn", "SigCgt", "Umask"}) {
    EXPECT_EQ(StatusLine(fork.host_pid, line), StatusLine(fresh.host_pid, line)) << line;
    EXPECT_EQ(StatusLine(parent.host_pid, line), StatusLine(fresh.host_pid, line)) << line;
  }
  for (const CreatedSandbox* sandbox : {&parent, &fork}) {
    EXPECT_THAT(Run(*sandbox, "describe", 1),
                MatchesRegex("pid=2 tid_right=1 uid=[0-9]+ gid=1000 host=sandbox cwd=/workspace "
                             "workspace=8388608\n"));
    EXPECT_EQ(Run(*sandbox, "try_open", 1),
              "/=1 /workspace/file=1 /tmp/file=1 /dev/null=1 /file=0 /etc=0 \n");
    EXPECT_EQ(Run(*sandbox, "descriptors", 1), "0 1 2 3 \n");
  }
}

TEST_F(ForkTest, SharesNothingWithItsParentOrSiblings) {
  const CreatedSandbox parent = CreateParent();
  const CreatedSandbox first = Fork(parent, 8);
  const CreatedSandbox second = Fork(parent, 9);
  for (const char* name : {"pid", "mnt", "ipc", "uts"}) {
    const std::set<std::string> namespaces = {NamespaceOf(parent.host_pid, name),
                                              NamespaceOf(first.host_pid, name),
                                              NamespaceOf(second.host_pid, name)};
    EXPECT_EQ(namespaces.size(), 3u) << name;
  }
  const std::set<std::string> cgroups = {CgroupOf(parent.host_pid), CgroupOf(first.host_pid),
                                         CgroupOf(second.host_pid)};
  EXPECT_EQ(cgroups.size(), 3u);
  const std::set<std::string> users = {StatusLine(parent.host_pid, "Uid"),
                                       StatusLine(first.host_pid, "Uid"),
                                       StatusLine(second.host_pid, "Uid")};
  EXPECT_EQ(users.size(), 3u);
  for (const CreatedSandbox* sandbox : {&parent, &first, &second}) {
    EXPECT_EQ(Run(*sandbox, "signal_all", 1), "done\n");
  }
}

TEST_F(ForkTest, OutlivesItsParent) {
  const CreatedSandbox parent = CreateParent();
  Run(parent, "count 5\nappend 5", 1);
  const CreatedSandbox fork = Fork(parent, 8);
  kill(parent.host_pid, SIGKILL);
  EXPECT_EQ(client_->WaitForExit(7).wait_status(), SIGKILL);
  EXPECT_EQ(Run(fork, "count 1", 1), "counter=6\n");
  EXPECT_EQ(Run(fork, "print", 2), "/workspace/log=5 \n/tmp/log=5 \n");
}

TEST_F(ForkTest, EndsWithoutItsParentNoticing) {
  const CreatedSandbox parent = CreateParent();
  {
    const CreatedSandbox fork = Fork(parent, 8);
    RunProgram(fork, "exit 42");
    const internal::v1::SandboxExited exited = client_->WaitForExit(8);
    EXPECT_EQ(exited.wait_code(), CLD_EXITED);
    EXPECT_EQ(exited.wait_status(), 42);
    EXPECT_GT(exited.cpu_nanoseconds(), 0);
  }
  EXPECT_EQ(Run(parent, "count 1", 1), "counter=1\n");
  EXPECT_EQ(Run(Fork(parent, 9), "count 1", 1), "counter=2\n");
}

TEST_F(ForkTest, HasAMemoryLimitOfItsOwn) {
  const CreatedSandbox parent = CreateParent();
  const CreatedSandbox fork = Fork(parent, 8);
  RunProgram(fork, "allocate 256");
  EXPECT_GE(client_->WaitForExit(8).oom_kill_count(), 1);
  EXPECT_EQ(Run(parent, "count 1", 1), "counter=1\n");
}

TEST_F(ForkTest, MakesAChainOfHundred) {
  CreatedSandbox sandbox = CreateParent(1000);
  for (int64_t id = 1001; id <= 1100; ++id) {
    Run(sandbox, "count 1\nappend 1", 1);
    CreatedSandbox fork = Fork(sandbox, id);
    client_->Kill(sandbox.id);
    client_->WaitForExit(sandbox.id);
    sandbox = std::move(fork);
  }
  EXPECT_EQ(Run(sandbox, "count 0", 1), "counter=100\n");
}

TEST_F(ForkTest, MakesHundredAtOnce) {
  const CreatedSandbox parent = CreateParent();
  Run(parent, "count 3", 1);
  PrepareFork(parent);
  std::vector<CreatedSandbox> forks;
  for (int64_t id = 100; id < 200; ++id) forks.push_back(ForkPrepared(parent, id));
  ResumeParent(parent);
  for (const CreatedSandbox& fork : forks) EXPECT_EQ(Run(fork, "count 1", 1), "counter=4\n");
  EXPECT_EQ(Run(parent, "count 0", 1), "counter=3\n");
}

TEST_F(ForkTest, MakesSnapshotsThatNeverRun) {
  const CreatedSandbox parent = CreateParent();
  Run(parent, "count 3\nappend 3", 1);
  PrepareFork(parent);
  const CreatedSandbox snapshot = TakeCreated(client_->Fork(7, 8, /*snapshot=*/true));
  ResumeParent(parent);
  Run(parent, "count 3\nappend 4", 1);
  client_->Kill(7);
  client_->WaitForExit(7);

  EXPECT_THAT(StatusLine(snapshot.host_pid, "State"), HasSubstr("tracing stop"));
  std::vector<CreatedSandbox> made;  // kept: one whose channel is closed ends by itself
  for (int64_t id = 20; id < 23; ++id) {
    made.push_back(ForkPrepared(snapshot, id));
    EXPECT_EQ(Run(made.back(), "count 1", 1), "counter=4\n");
    EXPECT_EQ(Run(made.back(), "print", 2), "/workspace/log=3 \n/tmp/log=3 \n");
  }
  client_->Kill(8);
  EXPECT_EQ(client_->WaitForExit(8).wait_status(), SIGKILL);
  EXPECT_THAT(client_->Fork(8, 30).event.sandbox_failed().message(), HasSubstr("has ended"));
}

TEST_F(ForkTest, RefusesWhatWasNotMadeForIt) {
  const CreatedSandbox sandbox = client_->Create(7, 1);
  EXPECT_TRUE(ReadGuestFrame(sandbox).has_ready());
  EXPECT_THAT(client_->Fork(7, 8).event.sandbox_failed().message(), HasSubstr("not made to be"));
  EXPECT_THAT(client_->Fork(99, 9).event.sandbox_failed().message(), HasSubstr("has ended"));
  EXPECT_EQ(Run(sandbox, "count 1", 1), "counter=1\n");
}

TEST_F(ForkTest, RefusesSharedMemory) {
  const CreatedSandbox parent = CreateParent();
  Run(parent, "share", 0);
  PrepareFork(parent);
  EXPECT_THAT(client_->Fork(7, 8).event.sandbox_failed().message(), HasSubstr("stay shared"));
  ResumeParent(parent);
  EXPECT_EQ(Run(parent, "count 1", 1), "counter=1\n");
}

std::set<std::string> Names(const std::vector<pid_t>& pids) {
  std::set<std::string> names;
  for (pid_t pid : pids) names.insert(ProcessName(pid));
  return names;
}

// As nobody prepared it: hostile programs need not stand still as others do.
TEST_F(ForkTest, KillsAShadowWhoseCodeWasChangedAndSaysSo) {
  const CreatedSandbox other = CreateParent(6);
  int64_t id = 10;
  for (int patch = 0; patch < 3; ++patch) {
    const CreatedSandbox parent = CreateParent(id++);
    const std::string limit = CgroupFile(parent.host_pid, "pids", "pids.max");
    Run(parent, absl::StrCat("patch ", patch), 0);
    PrepareFork(parent);
    for (int attempt = 0; attempt < 3; ++attempt) {
      const Received refused = client_->Fork(parent.id, id++);
      EXPECT_EQ(refused.event.sandbox_failed().cause(), internal::v1::FAILURE_CAUSE_REFUSED)
          << refused.event.ShortDebugString();
      EXPECT_THAT(refused.event.sandbox_failed().message(), HasSubstr("cannot be copied any more"));
    }
    EXPECT_EQ(CgroupFile(parent.host_pid, "pids", "pids.max"), limit);
    ResumeParent(parent);
    EXPECT_EQ(Run(parent, "count 1", 1), "counter=1\n");
    client_->Kill(parent.id);
    client_->WaitForExit(parent.id);
    // All others of the zygote go on.
    const CreatedSandbox fork = Fork(other, id++);
    EXPECT_EQ(Run(fork, "count 1", 1), "counter=1\n");
    client_->Kill(fork.id);
    client_->WaitForExit(fork.id);
  }
  client_->Kill(other.id);
  client_->WaitForExit(other.id);
  EXPECT_FALSE(Names(ProcessTree(client_->pid())).contains("sandbox-shadow"));
}

TEST_F(ForkTest, KillsSuchAShadowWhileItsSandboxLives) {
  const CreatedSandbox parent = CreateParent();
  EXPECT_TRUE(Names(ProcessTree(client_->pid())).contains("sandbox-shadow"));
  Run(parent, "patch 0", 0);
  PrepareFork(parent);
  (void)client_->Fork(7, 8);
  ResumeParent(parent);
  EXPECT_EQ(Run(parent, "count 1", 1), "counter=1\n");
  // It was told to die before the answer; the next clone comes after its end was seen.
  const CreatedSandbox next = client_->Create(9, 1);
  EXPECT_TRUE(ReadGuestFrame(next).has_ready());
  EXPECT_FALSE(Names(ProcessTree(client_->pid())).contains("sandbox-shadow"));
}

TEST_F(ForkTest, TellsOfFilesWhateverTheirNames) {
  const CreatedSandbox parent = CreateParent();
  const std::string limit = CgroupFile(parent.host_pid, "pids", "pids.max");
  ASSERT_NE(limit, "");
  Run(parent, "map_latin", 0);
  PrepareFork(parent);
  for (int64_t id = 10; id < 30; ++id) {
    const Received refused = client_->Fork(7, id);
    EXPECT_EQ(refused.event.sandbox_failed().sandbox_id(), id);
    EXPECT_EQ(refused.event.sandbox_failed().cause(), internal::v1::FAILURE_CAUSE_REFUSED);
    EXPECT_THAT(refused.event.sandbox_failed().message(), HasSubstr("/workspace/caf\\xe9 ("));
  }
  EXPECT_EQ(CgroupFile(parent.host_pid, "pids", "pids.max"), limit);
  ResumeParent(parent);
  EXPECT_EQ(Run(parent, "count 1", 1), "counter=1\n");
}

TEST_F(ForkTest, PaysForItsFiles) {
  constexpr int kMebibytes = 7;
  const CreatedSandbox parent = CreateParent();
  Run(parent, absl::StrCat("fill ", kMebibytes), 0);
  const CreatedSandbox fork = Fork(parent, 8);
  std::string charged = CgroupFile(fork.host_pid, "memory", "memory.usage_in_bytes");
  if (charged.empty()) charged = CgroupFile(fork.host_pid, "memory", "memory.current");
  EXPECT_GE(atoll(charged.c_str()), int64_t{kMebibytes} << 20);
}

TEST_F(ForkTest, IsRefusedWhereItsFilesAreMoreThanItMayHave) {
  const CreatedSandbox parent = CreateParent();
  Run(parent, "fill 7", 0);
  const std::string limit = CgroupFile(parent.host_pid, "pids", "pids.max");
  PrepareFork(parent);
  internal::v1::CgroupLimits limits = client_->Spec().default_limits();
  const int64_t workspace_bytes = client_->Spec().default_workspace_bytes();
  limits.set_memory_bytes(4 << 20);
  for (const bool snapshot : {false, true}) {
    const int64_t id = snapshot ? 9 : 8;
    client_->SendFork(7, id, limits, workspace_bytes, snapshot);
    const Received refused = client_->Next(internal::v1::SpawnerEvent::kSandboxFailed);
    EXPECT_EQ(refused.event.sandbox_failed().cause(), internal::v1::FAILURE_CAUSE_REFUSED);
    EXPECT_THAT(refused.event.sandbox_failed().message(), HasSubstr("memory"));
    client_->WaitForExit(id);
  }
  client_->SendFork(7, 10, client_->Spec().default_limits(), 2 << 20);
  const Received refused = client_->Next(internal::v1::SpawnerEvent::kSandboxFailed);
  EXPECT_EQ(refused.event.sandbox_failed().cause(), internal::v1::FAILURE_CAUSE_REFUSED);
  EXPECT_THAT(refused.event.sandbox_failed().message(), HasSubstr("do not fit into the copy"));
  client_->WaitForExit(10);
  EXPECT_EQ(CgroupFile(parent.host_pid, "pids", "pids.max"), limit);
  const CreatedSandbox fork = ForkPrepared(parent, 11);
  ResumeParent(parent);
  EXPECT_EQ(Run(fork, "count 1", 1), "counter=1\n");
}

TEST_F(ForkTest, EndsWithTheCopyingOfItsFilesWhenItIsKilled) {
  const CreatedSandbox parent = CreateParent();
  Run(parent, "fill 7", 0);
  const size_t before = ProcessTree(client_->pid()).size();
  PrepareFork(parent);
  const internal::v1::ZygoteSpec spec = client_->Spec();
  for (int64_t id = 10; id < 20; ++id) {
    client_->SendFork(7, id, spec.default_limits(), spec.default_workspace_bytes());
    client_->Kill(id);
    client_->WaitForExit(id);
  }
  ResumeParent(parent);
  // Another init may wait.
  EXPECT_LE(ProcessTree(client_->pid()).size(), before + 1);
}

TEST_F(ForkTest, LetsFreshSandboxesGoFirst) {
  const CreatedSandbox parent = CreateParent();
  PrepareFork(parent);
  const internal::v1::ZygoteSpec spec = client_->Spec();
  constexpr int kCopies = 30;
  for (int64_t id = 100; id < 100 + kCopies; ++id) {
    client_->SendFork(7, id, spec.default_limits(), spec.default_workspace_bytes());
  }
  internal::v1::SpawnerRequest request;
  request.mutable_create_sandbox()->set_sandbox_id(8);
  request.mutable_create_sandbox()->set_zygote_id(1);
  client_->Send(request);
  int copies_before = 0;
  std::vector<CreatedSandbox> made;
  for (int i = 0; i < kCopies + 1; ++i) {
    made.push_back(TakeCreated(client_->Next(internal::v1::SpawnerEvent::kSandboxCreated)));
    if (made.back().id == 8) copies_before = i;
  }
  EXPECT_LT(copies_before, kCopies / 2);
  ResumeParent(parent);
}

TEST_F(ForkTest, LeavesNothingBehind) {
  const pid_t spawner = client_->pid();
  const std::vector<pid_t> before = ProcessTree(spawner);
  {
    const CreatedSandbox parent = CreateParent();
    const CreatedSandbox fork = Fork(parent, 8);
    const CreatedSandbox second = Fork(fork, 9);
    for (int64_t id : {7, 8, 9}) client_->Kill(id);
    for (int i = 0; i < 3; ++i) client_->Next(internal::v1::SpawnerEvent::kSandboxExited);
  }
  // As many: other inits may wait for the next sandboxes.
  EXPECT_LE(ProcessTree(spawner).size(), before.size() + 1);
  const CreatedSandbox parent = CreateParent();
  const CreatedSandbox fork = Fork(parent, 11);
  const std::vector<pid_t> tree = ProcessTree(spawner);
  kill(spawner, SIGKILL);
  client_->Wait();
  EXPECT_TRUE(AllGone(tree));
}

}  // namespace
}  // namespace cloister::sandbox
