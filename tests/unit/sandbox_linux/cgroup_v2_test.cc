#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "sandbox/linux/cgroup.h"
#include "tests/unit/sandbox_linux/fake_cgroup_tree.h"

namespace cloister::sandbox {
namespace {

namespace fs = std::filesystem;
using internal::v1::CgroupLimits;

class CgroupV2Test : public ::testing::Test {
 protected:
  std::unique_ptr<CgroupManager> Manager() const {
    absl::StatusOr<std::unique_ptr<CgroupManager>> manager = CgroupManager::Create(system_);
    EXPECT_TRUE(manager.ok()) << manager.status();
    return *std::move(manager);
  }

  std::string Base() const { return absl::StrCat(own_, "/cloister-", getpid()); }
  std::string Read(const std::string& path) const { return FakeCgroupTree::Line(path); }

  std::shared_ptr<FakeCgroupTree> tree_ = std::make_shared<FakeCgroupTree>();
  CgroupSystem system_ = MakeV2System(tree_);
  const std::string own_ = tree_->root() + "/unit";
};

TEST_F(CgroupV2Test, LeavesItsOwnGroupAndComesBack) {
  FakeCgroupTree::Write(own_ + "/cgroup.procs", "11\n");
  {
    const std::unique_ptr<CgroupManager> manager = Manager();
    EXPECT_EQ(manager->version(), "v2");
    EXPECT_THAT(manager->Paths(), ::testing::ElementsAre(Base()));
    EXPECT_EQ(Read(own_ + "/cloister.host/cgroup.procs"), "11");
    EXPECT_EQ(Read(own_ + "/cgroup.subtree_control"), "+cpu");
    EXPECT_EQ(Read(Base() + "/cgroup.subtree_control"), "+cpu");
    FakeCgroupTree::Write(own_ + "/cgroup.procs", "");
  }
  EXPECT_EQ(Read(own_ + "/cgroup.procs"), "11");
  EXPECT_FALSE(fs::exists(Base()));
}

TEST_F(CgroupV2Test, StartedFromTheHostLeafUsesItsParent) {
  FakeCgroupTree::Write(own_ + "/cgroup.subtree_control", "cpu memory pids\n");
  ASSERT_TRUE(tree_->MakeDirectory(own_ + "/cloister.host").ok());
  system_.own_cgroups = "0::/unit/cloister.host\n";
  const std::unique_ptr<CgroupManager> manager = Manager();
  EXPECT_THAT(manager->Paths(), ::testing::ElementsAre(Base()));
}

TEST_F(CgroupV2Test, StaysInTheRootGroup) {
  fs::remove(own_ + "/cgroup.type");
  const std::unique_ptr<CgroupManager> manager = Manager();
  EXPECT_FALSE(fs::exists(own_ + "/cloister.host"));
  EXPECT_TRUE(manager->HasController("memory"));
}

TEST_F(CgroupV2Test, SetsAndLiftsLimits) {
  const std::unique_ptr<CgroupManager> manager = Manager();
  CgroupLimits limits;
  limits.set_memory_bytes(64 << 20);
  limits.set_process_count(8);
  limits.set_cpu_millis(1500);
  const auto group = manager->Acquire(limits).value();
  const std::string slot = Base() + "/s0/";
  EXPECT_EQ(Read(slot + "memory.max"), "67108864");
  EXPECT_EQ(Read(slot + "memory.swap.max"), "0");
  EXPECT_EQ(Read(slot + "memory.oom.group"), "1");
  EXPECT_EQ(Read(slot + "pids.max"), "8");
  EXPECT_EQ(Read(slot + "cpu.max"), "150000 100000");
  ASSERT_TRUE(group->SetLimits({}).ok());
  EXPECT_EQ(Read(slot + "memory.max"), "max");
  EXPECT_EQ(Read(slot + "pids.max"), "max");
  EXPECT_EQ(Read(slot + "cpu.max"), "max 100000");
}

TEST_F(CgroupV2Test, ReadsCounters) {
  const std::unique_ptr<CgroupManager> manager = Manager();
  const auto group = manager->Acquire({}).value();
  const std::string slot = Base() + "/s0/";
  FakeCgroupTree::Write(slot + "memory.peak", "123456\n");
  FakeCgroupTree::Write(slot + "memory.events", "oom 4\noom_kill 3\noom_group_kill 1\n");
  EXPECT_EQ(group->PeakBytes().value(), 123456);
  EXPECT_EQ(group->OomKillCount().value(), 3);
  EXPECT_EQ(group->CpuNanoseconds().value(), 12000);
  EXPECT_TRUE(group->IsEmpty().value());
  FakeCgroupTree::Write(slot + "cgroup.events", "populated 1\nfrozen 0\n");
  EXPECT_FALSE(group->IsEmpty().value());
}

// The peak starts anew for readers of one open file only.
TEST_F(CgroupV2Test, AtRestHoldsNoOtherDescriptors) {
  const std::unique_ptr<CgroupManager> manager = Manager();
  const int before = FakeCgroupTree::OpenFiles();
  const auto group = manager->Acquire({}).value();
  EXPECT_GT(FakeCgroupTree::OpenFiles(), before + 1);
  group->Rest();
  EXPECT_EQ(FakeCgroupTree::OpenFiles(), before + 1);
  // It opens again what is used.
  ASSERT_TRUE(group->Attach(41).ok());
  EXPECT_EQ(Read(Base() + "/s0/cgroup.procs"), "41");
  EXPECT_TRUE(group->OomKillCount().ok());
  EXPECT_TRUE(group->OpenPeakFile().ok());
  EXPECT_TRUE(group->OpenUsageFile().ok());
  EXPECT_TRUE(group->OpenMemoryStatFile().ok());
  EXPECT_TRUE(group->ResetPeak().ok());
  EXPECT_TRUE(group->IsEmpty().ok());
  EXPECT_GT(FakeCgroupTree::OpenFiles(), before + 1);
  FakeCgroupTree::Write(Base() + "/s0/cgroup.procs", "");
}

TEST_F(CgroupV2Test, KillsThroughTheKernel) {
  const std::unique_ptr<CgroupManager> manager = Manager();
  const auto group = manager->Acquire({}).value();
  ASSERT_TRUE(group->KillAll().ok());
  EXPECT_EQ(Read(Base() + "/s0/cgroup.kill"), "1");
  EXPECT_EQ(Read(Base() + "/s0/pids.max"), "0");
}

TEST_F(CgroupV2Test, UsesSlotsAgainWhereThePeakCanBeReset) {
  const std::unique_ptr<CgroupManager> manager = Manager();
  ASSERT_TRUE(manager->Release(manager->Acquire({}).value()).ok());
  EXPECT_EQ(manager->free_slots(), 1);
  EXPECT_EQ(Read(Base() + "/s0/memory.peak"), "reset");
}

TEST_F(CgroupV2Test, MakesNewSlotsWhereThereIsNoPeakToReset) {
  tree_->SetFiles("/unit/cloister-", {});
  tree_->SetFiles("/unit", {{"cgroup.procs", ""},
                            {"cgroup.subtree_control", ""},
                            {"cgroup.events", "populated 0\n"},
                            {"cpu.stat", "usage_usec 12\n"},
                            {"memory.max", "max\n"},
                            {"memory.current", "0\n"},
                            {"memory.events", "oom_kill 0\n"},
                            {"memory.oom.group", "0\n"}});
  const std::unique_ptr<CgroupManager> manager = Manager();
  auto group = manager->Acquire({}).value();
  EXPECT_TRUE(absl::IsUnimplemented(group->PeakBytes().status()));
  ASSERT_TRUE(manager->Release(std::move(group)).ok());
  EXPECT_EQ(manager->free_slots(), 0);
  EXPECT_FALSE(fs::exists(Base() + "/s0"));
}

TEST_F(CgroupV2Test, SaysWhatIsNotDelegated) {
  FakeCgroupTree::Write(own_ + "/cgroup.controllers", "memory\n");
  const std::unique_ptr<CgroupManager> manager = Manager();
  EXPECT_TRUE(manager->HasController("memory"));
  EXPECT_THAT(std::string(manager->Available("cpu").message()), ::testing::HasSubstr("Delegate"));
}

TEST_F(CgroupV2Test, RefusesToStartWithoutAnyController) {
  FakeCgroupTree::Write(own_ + "/cgroup.controllers", "io\n");
  EXPECT_TRUE(absl::IsFailedPrecondition(CgroupManager::Create(system_).status()));
  EXPECT_FALSE(fs::exists(Base()));
}

TEST_F(CgroupV2Test, RemovesAWholeTree) {
  const std::string tree = own_ + "/cloister-1";
  for (const char* group : {"", "/s0", "/s1", "/zygotes"}) {
    ASSERT_TRUE(tree_->MakeDirectory(tree + group).ok());
  }
  EXPECT_TRUE(RemoveGroupTree(*tree_, tree, absl::ZeroDuration()).ok());
  EXPECT_FALSE(fs::exists(tree));
  EXPECT_TRUE(RemoveGroupTree(*tree_, tree, absl::ZeroDuration()).ok());
}

}  // namespace
}  // namespace cloister::sandbox
