// Sandboxes that live, what is added to them and what is copied from them, in cgroups of version 2:
// on a tree of ordinary files, with processes that only wait.

#include "sandbox/spawner/live_sandbox.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/unit/sandbox_linux/fake_cgroup_tree.h"

namespace cloister::sandbox {
namespace {

using internal::v1::ChildExited;
using internal::v1::SandboxExited;

// Waits until it is killed.
class Child {
 public:
  Child() : pid_(::fork()) {
    while (pid_ == 0) ::pause();
  }
  ~Child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  UniqueFd pidfd() const { return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0))); }

 private:
  const pid_t pid_;
};

internal::v1::CgroupLimits Limits(int64_t memory, int64_t processes) {
  internal::v1::CgroupLimits limits;
  limits.set_memory_bytes(memory);
  limits.set_process_count(processes);
  return limits;
}

class LiveSandboxTest : public ::testing::Test {
 protected:
  LiveSandboxTest() {
    *spec_.mutable_default_limits() = Limits(64 << 20, 8);
    auto poller = Poller::Create();
    EXPECT_TRUE(poller.ok()) << poller.status();
    poller_ = std::make_unique<Poller>(*std::move(poller));
  }

  ~LiveSandboxTest() override {
    // Nobody leaves a group of ordinary files by ending, and whoever is in one that goes is killed.
    for (const char* slot : {"s0", "s1"}) FakeCgroupTree::Write(PathOf(slot, "cgroup.procs"), "");
  }

  std::unique_ptr<LiveSandbox> Make(int64_t id) {
    return std::make_unique<LiveSandbox>(id, 1, *poller_, cgroups_.get());
  }
  // One that can be copied; without an init, so that it is over with its first process.
  std::unique_ptr<LiveSandbox> Adopt(int64_t id) {
    auto sandbox = Make(id);
    AdoptWithShadow(sandbox.get());
    return sandbox;
  }
  void AdoptWithShadow(LiveSandbox* sandbox) {
    const absl::Status status = sandbox->Adopt(
        {.first = first_.pidfd(), .init = UniqueFd(), .shadow = shadow_.pidfd()}, spec_);
    EXPECT_TRUE(status.ok()) << status;
  }
  std::unique_ptr<LiveSandbox> AddMember(LiveSandbox* home, int64_t id) {
    auto member = Make(id);
    member->Join(*home);
    const absl::Status status =
        member->Adopt({.first = member_.pidfd(), .init = UniqueFd(), .shadow = UniqueFd()}, spec_);
    EXPECT_TRUE(status.ok()) << status;
    return member;
  }
  static SandboxExited End(LiveSandbox* sandbox, int signal) {
    ChildExited exited;
    exited.set_wait_code(CLD_KILLED);
    exited.set_wait_status(signal);
    sandbox->OnChildExited(exited);
    EXPECT_TRUE(sandbox->IsOver());
    return sandbox->Finish();
  }

  std::string PathOf(const std::string& slot, const std::string& file) const {
    return absl::StrCat(tree_->root(), "/unit/cloister-", ::getpid(), "/", slot, "/", file);
  }
  std::string Read(const std::string& slot, const std::string& file) const {
    return FakeCgroupTree::Line(PathOf(slot, file));
  }

  const std::shared_ptr<FakeCgroupTree> tree_ = std::make_shared<FakeCgroupTree>();
  const std::unique_ptr<CgroupManager> cgroups_ =
      CgroupManager::Create(MakeV2System(tree_)).value();
  std::unique_ptr<Poller> poller_;
  internal::v1::ZygoteSpec spec_;
  const Child first_, shadow_, member_;
};

TEST_F(LiveSandboxTest, TheShadowIsInTheGroupAndDoesNotCount) {
  const auto sandbox = Adopt(7);
  EXPECT_EQ(Read("s0", "memory.max"), "67108864");
  EXPECT_EQ(Read("s0", "pids.max"), "9");
  EXPECT_EQ(Read("s0", "cgroup.procs"), absl::StrCat(shadow_.pid()));  // attached last
  ASSERT_TRUE(sandbox->SetLimits(Limits(32 << 20, 4), 0).ok());
  EXPECT_EQ(Read("s0", "memory.max"), "33554432");
  EXPECT_EQ(Read("s0", "pids.max"), "5");
}

TEST_F(LiveSandboxTest, MembersAreInItsGroupAndDoNotCount) {
  const auto home = Adopt(7);
  const auto member = AddMember(home.get(), 8);
  EXPECT_EQ(Read("s0", "pids.max"), "10");
  EXPECT_EQ(Read("s0", "cgroup.procs"), absl::StrCat(member_.pid()));
  EXPECT_TRUE(absl::IsFailedPrecondition(member->SetLimits(Limits(1, 1), 0)));
  EXPECT_FALSE(home->IsOver());
  EXPECT_EQ(home->OpenCgroupFiles().value().size(), 1u);    // the peak
  EXPECT_EQ(member->OpenCgroupFiles().value().size(), 3u);  // and what is in use, and of what
  const SandboxExited exited = End(member.get(), SIGKILL);
  EXPECT_FALSE(exited.with_sandbox());
  EXPECT_EQ(exited.oom_kill_count(), 0);
  member->Leave();
  EXPECT_EQ(Read("s0", "pids.max"), "9");
  EXPECT_EQ(cgroups_->free_slots(), 0) << "the group is the sandbox's";
}

TEST_F(LiveSandboxTest, CopiesAreBornInItsGroupAndHaveOneOfTheirOwn) {
  const auto parent = Adopt(7);
  parent->BeginCopy();
  EXPECT_EQ(Read("s0", "pids.max"), "11");  // a first process and a shadow more
  const auto copy = Make(8);
  internal::v1::ForkSandbox order;
  order.set_parent_id(7);
  *order.mutable_limits() = Limits(16 << 20, 2);
  copy->BecomeCopy(order);
  AdoptWithShadow(copy.get());
  parent->EndCopy();
  EXPECT_EQ(Read("s0", "pids.max"), "9");
  EXPECT_EQ(Read("s1", "memory.max"), "16777216");
  EXPECT_EQ(Read("s1", "pids.max"), "3");
  EXPECT_EQ(Read("s1", "cgroup.procs"), absl::StrCat(shadow_.pid()));
}

TEST_F(LiveSandboxTest, EachKillForLackOfMemoryIsToldOnce) {
  const auto home = Adopt(7);
  const auto member = AddMember(home.get(), 8);
  FakeCgroupTree::Write(PathOf("s0", "memory.events"), "oom 1\noom_kill 1\n");
  FakeCgroupTree::Write(PathOf("s0", "memory.peak"), "67000000\n");
  EXPECT_EQ(End(member.get(), SIGKILL).oom_kill_count(), 1);
  member->Leave();
  const SandboxExited exited = End(home.get(), SIGSEGV);
  EXPECT_EQ(exited.oom_kill_count(), 0);
  EXPECT_EQ(exited.peak_memory_bytes(), 67'000'000);
}

TEST_F(LiveSandboxTest, TheNextOneInItsGroupStartsAnew) {
  {
    const auto sandbox = Adopt(7);
    FakeCgroupTree::Write(PathOf("s0", "memory.events"), "oom_kill 3\n");
    EXPECT_EQ(End(sandbox.get(), SIGKILL).oom_kill_count(), 3);
  }
  EXPECT_EQ(cgroups_->free_slots(), 1);
  EXPECT_EQ(Read("s0", "memory.peak"), "reset");
  const auto next = Adopt(8);
  internal::v1::SandboxCreated created;
  next->Describe(&created);
  EXPECT_EQ(created.oom_kill_baseline(), 3);
  EXPECT_EQ(created.host_pid(), first_.pid());
  FakeCgroupTree::Write(PathOf("s0", "memory.peak"), "1\n");
  EXPECT_EQ(End(next.get(), SIGKILL).oom_kill_count(), 0);
}

// Thousands live beside one another.
TEST_F(LiveSandboxTest, HoldsThreeDescriptorsWhileItLives) {
  const int before = FakeCgroupTree::OpenFiles();
  spec_.set_allow_subprocesses(true);
  const auto sandbox = Make(7);
  const Child init;
  ASSERT_TRUE(
      sandbox
          ->Adopt({.first = first_.pidfd(), .init = init.pidfd(), .shadow = shadow_.pidfd()}, spec_)
          .ok());
  EXPECT_EQ(sandbox->OpenCgroupFiles().value().size(), 2u);  // the peak and the processor time
  EXPECT_EQ(FakeCgroupTree::OpenFiles(), before + 3);        // two processes, the peak
  const auto member = AddMember(sandbox.get(), 8);
  EXPECT_EQ(member->OpenCgroupFiles().value().size(), 4u);
  EXPECT_EQ(FakeCgroupTree::OpenFiles(), before + 4);
}

}  // namespace
}  // namespace cloister::sandbox
