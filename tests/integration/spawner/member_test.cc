// Further processes of sandboxes, made by a real spawner and zygote of a guest without Python. Needs
// root.

#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/spawner/spawner_client.h"

namespace cloister::sandbox {
namespace {

namespace fs = std::filesystem;
using internal::v1::SpawnerEvent;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

// What sandbox the process is added to.
enum class Kind { kFresh, kForkable, kCopy };

class MemberTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    Connect({});
  }

  void Connect(const std::vector<std::string>& command_prefix) {
    client_ = std::make_unique<SpawnerClient>(command_prefix);
    const Received started = client_->StartZygote(1, client_->Spec());
    ASSERT_TRUE(started.event.has_zygote_started()) << started.event.ShortDebugString();
  }

  CreatedSandbox Create(int64_t id, Kind kind = Kind::kFresh) {
    if (kind == Kind::kCopy) return CreateCopy(id);
    CreatedSandbox sandbox = client_->Create(id, 1, kind == Kind::kForkable);
    EXPECT_TRUE(ReadGuestFrame(sandbox).has_ready());
    return sandbox;
  }

  CreatedSandbox Add(int64_t sandbox_id, int64_t id) {
    CreatedSandbox member = TakeCreated(client_->AddProcess(sandbox_id, id));
    EXPECT_EQ(member.id, id);
    const internal::v1::GuestFrame frame = ReadGuestFrame(member);
    EXPECT_TRUE(frame.has_ready()) << frame.ShortDebugString();
    return member;
  }

  std::string Run(const CreatedSandbox& sandbox, const std::string& program, int lines) {
    RunProgram(sandbox, program);
    std::string text = ReadLines(sandbox.output.get(), lines);
    EXPECT_TRUE(ReadGuestFrame(sandbox).has_finished());
    return text;
  }

  std::string RefusalOf(int64_t sandbox_id, int64_t id) {
    return client_->AddProcess(sandbox_id, id).event.sandbox_failed().message();
  }

  std::unique_ptr<SpawnerClient> client_;

 private:
  CreatedSandbox CreateCopy(int64_t id) {
    parent_ = client_->Create(1000 + id, 1, /*forkable=*/true);
    EXPECT_TRUE(ReadGuestFrame(parent_).has_ready());
    PrepareFork(parent_);
    CreatedSandbox copy = TakeCreated(client_->Fork(parent_.id, id));
    EXPECT_TRUE(ReadGuestFrame(copy).has_ready());
    ResumeParent(parent_);
    return copy;
  }

  CreatedSandbox parent_;  // kept: one whose channel is closed ends by itself
};

class EveryMemberTest : public MemberTest, public ::testing::WithParamInterface<Kind> {};

INSTANTIATE_TEST_SUITE_P(All, EveryMemberTest,
                         ::testing::Values(Kind::kFresh, Kind::kForkable, Kind::kCopy));

TEST_P(EveryMemberTest, LivesWhereItsSandboxLives) {
  const CreatedSandbox sandbox = Create(7, GetParam());
  const CreatedSandbox member = Add(7, 8);
  for (const char* name : {"pid", "mnt", "ipc", "uts", "net", "user", "cgroup"}) {
    EXPECT_EQ(NamespaceOf(member.host_pid, name), NamespaceOf(sandbox.host_pid, name)) << name;
  }
  EXPECT_EQ(CgroupOf(member.host_pid), CgroupOf(sandbox.host_pid));
  EXPECT_THAT(CgroupOf(member.host_pid), HasSubstr("cloister-"));
  Run(sandbox, "append 1", 0);
  Run(member, "append 2", 0);
  EXPECT_EQ(Run(sandbox, "print", 2), "/workspace/log=1 2 \n/tmp/log=1 2 \n");
  EXPECT_EQ(Run(member, "print", 2), "/workspace/log=1 2 \n/tmp/log=1 2 \n");
  // Another sandbox's stay elsewhere.
  const CreatedSandbox other = Create(9);
  EXPECT_NE(NamespaceOf(other.host_pid, "pid"), NamespaceOf(member.host_pid, "pid"));
  EXPECT_NE(CgroupOf(other.host_pid), CgroupOf(member.host_pid));
}

TEST_P(EveryMemberTest, IsConfinedLikeTheFirstProcess) {
  const CreatedSandbox sandbox = Create(7, GetParam());
  const CreatedSandbox member = Add(7, 8);
  for (const char* line : {"Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb",
                           "NoNewPrivs", "Seccomp", "Seccomp_filters", "Threads", "TracerPid",
                           "Cpus_allowed", "SigBlk", "SigIgn", "SigCgt", "Umask"}) {
    EXPECT_EQ(StatusLine(member.host_pid, line), StatusLine(sandbox.host_pid, line)) << line;
  }
  EXPECT_THAT(Run(member, "describe", 1),
              MatchesRegex("pid=[0-9]+ tid_right=1 uid=[0-9]+ gid=1000 host=sandbox "
                           "cwd=/workspace workspace=8388608\n"));
  EXPECT_EQ(Run(member, "try_open", 1),
            "/=1 /workspace/file=1 /tmp/file=1 /dev/null=1 /file=0 /etc=0 \n");
  EXPECT_EQ(Run(member, "descriptors", 1), "0 1 2 3 \n");
}

TEST_P(EveryMemberTest, CannotReachTheFirstProcessNorBeReached) {
  const CreatedSandbox sandbox = Create(7, GetParam());
  const CreatedSandbox member = Add(7, 8);
  const CreatedSandbox second = Add(7, 9);
  for (const CreatedSandbox* process : {&sandbox, &member, &second}) {
    EXPECT_EQ(Run(*process, "signal_all", 1), "done\n");
  }
}

TEST_P(EveryMemberTest, EndsAlone) {
  const CreatedSandbox sandbox = Create(7, GetParam());
  const CreatedSandbox first = Add(7, 8);
  const CreatedSandbox second = Add(7, 9);
  RunProgram(first, "exit 42");
  internal::v1::SandboxExited exited = client_->WaitForExit(8);
  EXPECT_EQ(exited.wait_code(), CLD_EXITED);
  EXPECT_EQ(exited.wait_status(), 42);
  EXPECT_GT(exited.cpu_nanoseconds(), 0);
  EXPECT_FALSE(exited.with_sandbox());
  client_->Kill(9);
  exited = client_->WaitForExit(9);
  EXPECT_EQ(exited.wait_status(), SIGKILL);
  EXPECT_FALSE(exited.with_sandbox());
  EXPECT_EQ(Run(sandbox, "count 1", 1), "counter=1\n");
  const CreatedSandbox third = Add(7, 10);
  EXPECT_EQ(Run(third, "count 1", 1), "counter=1\n");
}

TEST_P(EveryMemberTest, EndsBeforeItsSandbox) {
  const CreatedSandbox sandbox = Create(7, GetParam());
  const CreatedSandbox first = Add(7, 8);
  const CreatedSandbox second = Add(7, 9);
  RunProgram(sandbox, "raise 11");
  for (int i = 0; i < 2; ++i) {
    const internal::v1::SandboxExited exited =
        client_->Next(SpawnerEvent::kSandboxExited).event.sandbox_exited();
    EXPECT_NE(exited.sandbox_id(), 7);
    EXPECT_TRUE(exited.with_sandbox());
  }
  const internal::v1::SandboxExited exited =
      client_->Next(SpawnerEvent::kSandboxExited).event.sandbox_exited();
  EXPECT_EQ(exited.sandbox_id(), 7);
  EXPECT_EQ(exited.wait_status(), SIGSEGV);
  EXPECT_THAT(RefusalOf(7, 11), HasSubstr("has ended"));
}

TEST_F(MemberTest, GetsItsSignalsAlone) {
  const CreatedSandbox sandbox = Create(7);
  const CreatedSandbox member = Add(7, 8);
  RunProgram(sandbox, "sleep");
  RunProgram(member, "say 1\nsleep");
  EXPECT_EQ(ReadLines(member.output.get(), 1), "1\n");
  client_->Signal(8, SIGUSR1);
  EXPECT_EQ(client_->WaitForExit(8).wait_status(), SIGUSR1);
  client_->Signal(7, SIGUSR2);
  EXPECT_EQ(client_->WaitForExit(7).wait_status(), SIGUSR2);
}

TEST_F(MemberTest, IsToldOfTheKernelsKillThatHitIt) {
  const CreatedSandbox sandbox = Create(7);
  ASSERT_TRUE(sandbox.peak) << "no memory cgroup";
  {
    const CreatedSandbox member = Add(7, 8);
    ASSERT_TRUE(member.peak);
    RunProgram(member, "allocate 256");
    const internal::v1::SandboxExited exited = client_->WaitForExit(8);
    EXPECT_EQ(exited.wait_status(), SIGKILL);
    EXPECT_EQ(exited.oom_kill_count(), 1);
    EXPECT_GT(exited.peak_memory_bytes(), 60 << 20);
  }
  {
    // One that kills itself has nothing to do with it, and neither has the first process.
    const CreatedSandbox member = Add(7, 9);
    RunProgram(member, "raise 9");
    EXPECT_EQ(client_->WaitForExit(9).oom_kill_count(), 0);
  }
  RunProgram(sandbox, "raise 9");
  EXPECT_EQ(client_->WaitForExit(7).oom_kill_count(), 0);
}

TEST_F(MemberTest, EndsWithAFirstProcessThatTookAllMemory) {
  const CreatedSandbox sandbox = Create(7);
  const CreatedSandbox member = Add(7, 8);
  RunProgram(sandbox, "allocate 256");
  const internal::v1::SandboxExited exited = client_->WaitForExit(8);
  EXPECT_TRUE(exited.with_sandbox());
  EXPECT_EQ(exited.oom_kill_count(), 0);
  EXPECT_GE(client_->WaitForExit(7).oom_kill_count(), 1);
}

TEST_F(MemberTest, LeavesTheProgramItsProcesses) {
  const CreatedSandbox sandbox = Create(7);
  std::vector<CreatedSandbox> members;
  // More than the template's limit of processes.
  for (int64_t id = 100; id < 120; ++id) members.push_back(Add(7, id));
  for (const CreatedSandbox& member : members) EXPECT_EQ(Run(member, "say 1", 1), "1\n");
  client_->Kill(7);
  EXPECT_EQ(client_->WaitForExit(7).wait_status(), SIGKILL);
}

TEST_F(MemberTest, IsRefusedWhereNothingRuns) {
  EXPECT_THAT(RefusalOf(99, 1), HasSubstr("has ended"));
  const CreatedSandbox sandbox = Create(7, Kind::kForkable);
  const CreatedSandbox member = Add(7, 8);
  EXPECT_THAT(RefusalOf(8, 9), HasSubstr("only a sandbox that runs"));
  PrepareFork(sandbox);
  EXPECT_THAT(client_->Fork(8, 10).event.sandbox_failed().message(), HasSubstr("not made to be"));
  const CreatedSandbox snapshot = TakeCreated(client_->Fork(7, 11, /*snapshot=*/true));
  ResumeParent(sandbox);
  EXPECT_THAT(RefusalOf(11, 12), HasSubstr("only a sandbox that runs"));
  EXPECT_EQ(Run(member, "count 1", 1), "counter=1\n");
}

TEST_F(MemberTest, IsSeenOutWithASandboxKilledBeforeItWasThere) {
  const CreatedSandbox sandbox = Create(7);
  internal::v1::SpawnerRequest request;
  for (int64_t id = 20; id < 30; ++id) {
    request.mutable_add_process()->set_sandbox_id(7);
    request.mutable_add_process()->set_process_id(id);
    client_->Send(request);
  }
  client_->Kill(7);
  // Each is told as failed, or created and then ended; all before the sandbox.
  std::set<int64_t> ended;
  while (!ended.contains(7)) {
    const Received received = client_->Next();
    if (received.event.has_sandbox_failed()) {
      ended.insert(received.event.sandbox_failed().sandbox_id());
    } else if (received.event.has_sandbox_exited()) {
      ended.insert(received.event.sandbox_exited().sandbox_id());
    }
  }
  EXPECT_EQ(ended.size(), 11u);
  EXPECT_TRUE(AllGone({sandbox.host_pid}));
  const CreatedSandbox next = Create(40);
  EXPECT_EQ(Run(next, "count 1", 1), "counter=1\n");
}

TEST_F(MemberTest, LeavesNothingBehind) {
  const auto descriptors = [](pid_t pid) {
    int count = 0;
    for ([[maybe_unused]] const auto& entry :
         fs::directory_iterator(absl::StrCat("/proc/", pid, "/fd"))) {
      ++count;
    }
    return count;
  };
  const auto churn = [this](int64_t first) {
    const CreatedSandbox sandbox = Create(first);
    for (int64_t id = first + 1; id < first + 50; ++id) {
      const CreatedSandbox member = Add(first, id);
      client_->Kill(id);
      client_->WaitForExit(id);
    }
    client_->Kill(first);
    client_->WaitForExit(first);
  };
  churn(100);
  const size_t processes = ProcessTree(client_->pid()).size();
  const int spawners = descriptors(client_->pid());
  for (int64_t first = 200; first < 600; first += 100) churn(first);
  EXPECT_LE(ProcessTree(client_->pid()).size(), processes + 1);
  EXPECT_EQ(descriptors(client_->pid()), spawners);

  const CreatedSandbox sandbox = Create(1, Kind::kForkable);
  const CreatedSandbox member = Add(1, 2);
  const std::vector<pid_t> tree = ProcessTree(client_->pid());
  EXPECT_THAT(tree, ::testing::Contains(member.host_pid));
  kill(client_->pid(), SIGKILL);
  client_->Wait();
  EXPECT_TRUE(AllGone(tree));
}

TEST_F(MemberTest, EndsWithItsZygote) {
  const CreatedSandbox sandbox = Create(7);
  const CreatedSandbox member = Add(7, 8);
  for (pid_t pid : ProcessTree(client_->pid())) {
    if (ProcessName(pid) == "zygote") kill(pid, SIGKILL);
  }
  const auto exited = [this] {
    return client_->Next(SpawnerEvent::kSandboxExited).event.sandbox_exited();
  };
  const internal::v1::SandboxExited first = exited();
  EXPECT_EQ(first.sandbox_id(), 8);
  EXPECT_TRUE(first.with_sandbox());
  EXPECT_EQ(exited().sandbox_id(), 7);
  EXPECT_TRUE(AllGone({member.host_pid, sandbox.host_pid}));
}

TEST_F(MemberTest, WorksForAnOrdinaryUser) {
  Connect({"/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"});
  if (client_->ready().facilities().setting() != internal::v1::Facilities::SETTING_ROOTLESS) {
    GTEST_SKIP() << "this machine allows ordinary users no user namespaces";
  }
  const CreatedSandbox sandbox = Create(7);
  const CreatedSandbox member = Add(7, 8);
  EXPECT_EQ(NamespaceOf(member.host_pid, "pid"), NamespaceOf(sandbox.host_pid, "pid"));
  EXPECT_EQ(StatusLine(member.host_pid, "Uid"), StatusLine(sandbox.host_pid, "Uid"));
  EXPECT_EQ(Run(member, "signal_all", 1), "done\n");
  Run(member, "append 2", 0);
  EXPECT_EQ(Run(sandbox, "print", 2), "/workspace/log=2 \n/tmp/log=2 \n");
  client_->Kill(7);
  EXPECT_TRUE(client_->WaitForExit(8).with_sandbox());
  EXPECT_EQ(client_->WaitForExit(7).wait_status(), SIGKILL);
}

}  // namespace
}  // namespace cloister::sandbox
