#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sandbox/linux/cgroup.h"
#include "tests/unit/sandbox_linux/fake_cgroup_tree.h"

namespace cloister::sandbox {
namespace {

namespace fs = std::filesystem;
using internal::v1::CgroupLimits;

CgroupLimits MakeLimits(int64_t memory, int64_t processes, int64_t cpu_millis = 0) {
  CgroupLimits limits;
  limits.set_memory_bytes(memory);
  limits.set_process_count(processes);
  limits.set_cpu_millis(cpu_millis);
  return limits;
}

class CgroupV1Test : public ::testing::Test {
 protected:
  CgroupV1Test() {
    tree_->SetFiles("/memory/own", {{"cgroup.procs", ""},
                                    {"memory.limit_in_bytes", "9223372036854771712\n"},
                                    {"memory.memsw.limit_in_bytes", "9223372036854771712\n"},
                                    {"memory.max_usage_in_bytes", "0\n"},
                                    {"memory.usage_in_bytes", "0\n"},
                                    {"memory.force_empty", ""},
                                    {"memory.stat", "inactive_file 0\n"},
                                    {"memory.oom_control", "oom_kill 0\n"}});
    tree_->SetFiles("/pids", {{"cgroup.procs", ""}, {"pids.max", "max\n"}, {"pids.current", "0\n"}});
    tree_->SetFiles("/cpu", {{"cgroup.procs", ""},
                             {"cpuacct.usage", "5000\n"},
                             {"cpu.cfs_quota_us", "-1\n"},
                             {"cpu.cfs_period_us", "100000\n"}});
    for (const char* directory : {"/memory/own", "/pids", "/cpu"}) {
      fs::create_directories(tree_->root() + directory);
    }
    system_.tree = tree_;
    system_.own_cgroups = "3:cpu:/\n2:pids:/\n1:memory:/own\n0::/\n";
    system_.mountinfo = absl::StrCat(Mount("memory"), Mount("pids"), Mount("cpu"));
  }

  std::string Mount(const std::string& controller) const {
    return absl::StrCat("1 1 0:1 / ", tree_->root(), "/", controller, " rw - cgroup cgroup rw,",
                        controller, "\n");
  }

  std::unique_ptr<CgroupManager> Manager() const {
    absl::StatusOr<std::unique_ptr<CgroupManager>> manager = CgroupManager::Create(system_);
    EXPECT_TRUE(manager.ok()) << manager.status();
    return *std::move(manager);
  }

  std::string Base(const std::string& controller) const {
    return absl::StrCat(tree_->root(), "/", controller, "/cloister-", getpid());
  }
  std::string Read(const std::string& path) const { return FakeCgroupTree::Line(path); }

  std::shared_ptr<FakeCgroupTree> tree_ = std::make_shared<FakeCgroupTree>();
  CgroupSystem system_;
};

TEST_F(CgroupV1Test, MakesItsBaseBelowItsOwnGroupAndTakesItAway) {
  {
    const std::unique_ptr<CgroupManager> manager = Manager();
    EXPECT_EQ(manager->version(), "v1");
    EXPECT_THAT(manager->Paths(),
                ::testing::ElementsAre(Base("memory/own"), Base("pids"), Base("cpu")));
    const auto group = manager->Acquire(MakeLimits(1 << 20, 8)).value();
    EXPECT_TRUE(fs::exists(Base("memory/own") + "/" + group->name()));
  }
  EXPECT_TRUE(fs::is_empty(tree_->root() + "/memory/own"));
  EXPECT_TRUE(fs::is_empty(tree_->root() + "/pids"));
}

TEST_F(CgroupV1Test, SetsAndLiftsLimits) {
  const std::unique_ptr<CgroupManager> manager = Manager();
  const auto group = manager->Acquire(MakeLimits(64 << 20, 8, 500)).value();
  const std::string memory = Base("memory/own") + "/s0/";
  EXPECT_EQ(Read(memory + "memory.limit_in_bytes"), "67108864");
  EXPECT_EQ(Read(memory + "memory.memsw.limit_in_bytes"), "67108864");
  EXPECT_EQ(Read(Base("pids") + "/s0/pids.max"), "8");
  EXPECT_EQ(Read(Base("cpu") + "/s0/cpu.cfs_quota_us"), "50000");
  ASSERT_TRUE(group->SetLimits({}).ok());
  EXPECT_EQ(Read(memory + "memory.limit_in_bytes"), "-1");
  EXPECT_EQ(Read(Base("pids") + "/s0/pids.max"), "max");
  EXPECT_EQ(Read(Base("cpu") + "/s0/cpu.cfs_quota_us"), "-1");
}

TEST_F(CgroupV1Test, KeepsTheOutOfMemoryKillerOn) {
  const std::unique_ptr<CgroupManager> manager = Manager();
  const auto group = manager->Acquire(MakeLimits(64 << 20, 8)).value();
  EXPECT_EQ(Read(Base("memory/own") + "/s0/memory.oom_control"), "0");
}

TEST_F(CgroupV1Test, AttachesToTheSchedulerOnlyForABound) {
  const std::unique_ptr<CgroupManager> manager = Manager();
  const auto unbound = manager->Acquire(MakeLimits(64 << 20, 8)).value();
  ASSERT_TRUE(unbound->Attach(41).ok());
  EXPECT_EQ(Read(Base("memory/own") + "/s0/cgroup.procs"), "41");
  EXPECT_EQ(Read(Base("pids") + "/s0/cgroup.procs"), "41");
  EXPECT_EQ(Read(Base("cpu") + "/s0/cgroup.procs"), "");
  // A bound that comes later finds those that are there.
  ASSERT_TRUE(unbound->SetLimits(MakeLimits(64 << 20, 8, 500)).ok());
  EXPECT_EQ(Read(Base("cpu") + "/s0/cgroup.procs"), "41");
  FakeCgroupTree::Write(Base("memory/own") + "/s0/cgroup.procs", "");
  FakeCgroupTree::Write(Base("pids") + "/s0/cgroup.procs", "");
  FakeCgroupTree::Write(Base("cpu") + "/s0/cgroup.procs", "");
}

TEST_F(CgroupV1Test, ABurstOfSlotsDoesNotStay) {
  const std::unique_ptr<CgroupManager> manager = Manager();
  std::vector<std::unique_ptr<Cgroup>> groups;
  manager->SetMaximumFree(3);
  for (int i = 0; i < 5; ++i) {
    groups.push_back(manager->Acquire(MakeLimits(64 << 20, 8)).value());
  }
  const std::string last = groups.back()->name();
  EXPECT_TRUE(fs::exists(Base("pids") + "/" + last));
  for (auto& group : groups) ASSERT_TRUE(manager->Release(std::move(group)).ok());
  EXPECT_EQ(manager->free_slots(), 3);
  EXPECT_FALSE(fs::exists(Base("pids") + "/" + last));
}

TEST_F(CgroupV1Test, UsesSlotsAgainWithAFreshPeak) {
  const std::unique_ptr<CgroupManager> manager = Manager();
  auto group = manager->Acquire(MakeLimits(64 << 20, 8)).value();
  FakeCgroupTree::Write(Base("memory/own") + "/s0/memory.max_usage_in_bytes", "7\n");
  EXPECT_EQ(group->PeakBytes().value(), 7);
  ASSERT_TRUE(manager->Release(std::move(group)).ok());
  EXPECT_EQ(manager->free_slots(), 1);
  group = manager->Acquire(MakeLimits(32 << 20, 4)).value();
  EXPECT_EQ(group->name(), "s0");
  EXPECT_EQ(group->PeakBytes().value(), 0);
  EXPECT_EQ(Read(Base("memory/own") + "/s0/memory.limit_in_bytes"), "33554432");
  EXPECT_EQ(manager->Acquire(MakeLimits(32 << 20, 4)).value()->name(), "s1");
}

TEST_F(CgroupV1Test, SetsASlotAsideUntilItIsEmpty) {
  const std::unique_ptr<CgroupManager> manager = Manager();
  auto group = manager->Acquire(MakeLimits(64 << 20, 8)).value();
  const std::string procs = Base("memory/own") + "/s0/cgroup.procs";
  FakeCgroupTree::Write(procs, "99999999\n");
  FakeCgroupTree::Write(Base("pids") + "/s0/pids.current", "1\n");
  const absl::Status status = manager->Release(std::move(group));
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(manager->stuck_slots(), 1);
  EXPECT_EQ(manager->Acquire({}).value()->name(), "s1");
  // What is charged for, but in no list, is a zombie.
  FakeCgroupTree::Write(procs, "");
  EXPECT_EQ(manager->Acquire({}).value()->name(), "s0");
  EXPECT_EQ(manager->stuck_slots(), 0);
}

TEST_F(CgroupV1Test, ReadsCounters) {
  const std::unique_ptr<CgroupManager> manager = Manager();
  const auto group = manager->Acquire({}).value();
  FakeCgroupTree::Write(Base("memory/own") + "/s0/memory.oom_control", "under_oom 0\noom_kill 2\n");
  FakeCgroupTree::Write(Base("memory/own") + "/s0/memory.usage_in_bytes", "4096\n");
  EXPECT_EQ(group->OomKillCount().value(), 2);
  EXPECT_EQ(group->CurrentBytes().value(), 4096);
  EXPECT_TRUE(group->OpenPeakFile().ok());
  EXPECT_TRUE(group->OpenUsageFile().ok());
  EXPECT_TRUE(group->OpenMemoryStatFile().ok());
  EXPECT_FALSE(group->OpenCpuFile().ok()) << "no cpuacct";
  // cpuacct is not mounted here.
  EXPECT_TRUE(absl::IsUnimplemented(group->CpuNanoseconds().status()));
}

TEST_F(CgroupV1Test, SharesTheDirectoryOfControllersMountedTogether) {
  system_.own_cgroups = "3:cpu,cpuacct:/\n2:pids:/\n1:memory:/own\n";
  system_.mountinfo = absl::StrCat(Mount("memory"), Mount("pids"), "1 1 0:1 / ", tree_->root(),
                                   "/cpu rw - cgroup cgroup rw,cpu,cpuacct\n");
  const std::unique_ptr<CgroupManager> manager = Manager();
  EXPECT_EQ(manager->Paths().size(), 3u);
  const auto group = manager->Acquire({}).value();
  EXPECT_EQ(group->CpuNanoseconds().value(), 5000);
}

TEST_F(CgroupV1Test, AtRestHoldsNoDescriptors) {
  const std::unique_ptr<CgroupManager> manager = Manager();
  const int before = FakeCgroupTree::OpenFiles();
  const auto group = manager->Acquire({}).value();
  EXPECT_GT(FakeCgroupTree::OpenFiles(), before);
  group->Rest();
  EXPECT_EQ(FakeCgroupTree::OpenFiles(), before);
  // It opens again what is used.
  ASSERT_TRUE(group->Attach(41).ok());
  EXPECT_EQ(Read(Base("memory/own") + "/s0/cgroup.procs"), "41");
  EXPECT_TRUE(group->OpenPeakFile().ok());
  EXPECT_TRUE(group->ResetPeak().ok());
  EXPECT_TRUE(group->CurrentBytes().ok());
  EXPECT_GT(FakeCgroupTree::OpenFiles(), before);
  FakeCgroupTree::Write(Base("memory/own") + "/s0/cgroup.procs", "");
  FakeCgroupTree::Write(Base("pids") + "/s0/cgroup.procs", "");
}

TEST_F(CgroupV1Test, SaysWhichControllerIsMissingAndWhy) {
  system_.mountinfo = Mount("memory");
  const std::unique_ptr<CgroupManager> manager = Manager();
  EXPECT_TRUE(manager->HasController("memory"));
  EXPECT_FALSE(manager->HasController("pids"));
  EXPECT_THAT(std::string(manager->Available("pids").message()), ::testing::HasSubstr("mount one"));
}

TEST_F(CgroupV1Test, RefusesToStartWithoutAny) {
  system_.mountinfo = "";
  EXPECT_TRUE(absl::IsFailedPrecondition(CgroupManager::Create(system_).status()));
}

TEST_F(CgroupV1Test, RemovesWhatDeadSpawnersLeftAndNothingElse) {
  const std::string pids = tree_->root() + "/pids";
  ASSERT_TRUE(tree_->MakeDirectory(pids + "/cloister-1").ok());
  ASSERT_TRUE(tree_->MakeDirectory(pids + "/cloister-1/s0").ok());
  ASSERT_TRUE(tree_->MakeDirectory(pids + "/cloister-2").ok());
  ASSERT_TRUE(tree_->MakeDirectory(pids + "/other").ok());
  const int alive = open((pids + "/cloister-2").c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(flock(alive, LOCK_EX), 0);
  const std::unique_ptr<CgroupManager> manager = Manager();
  EXPECT_FALSE(fs::exists(pids + "/cloister-1"));
  EXPECT_TRUE(fs::exists(pids + "/cloister-2"));
  EXPECT_TRUE(fs::exists(pids + "/other"));
  close(alive);
}

}  // namespace
}  // namespace cloister::sandbox
