// What the facilities do to a real process: each in a forked child that is thrown away. Those that
// need root are skipped without it.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/capabilities.h"
#include "sandbox/linux/close_fds.h"
#include "sandbox/linux/feature_probe.h"
#include "sandbox/linux/landlock.h"
#include "sandbox/linux/rlimits.h"
#include "sandbox/linux/seccomp_filter.h"
#include "sandbox/linux/trial.h"

namespace cloister::sandbox {
namespace {

#define EXPECT_OK(expression)               \
  do {                                      \
    const absl::Status status = expression; \
    EXPECT_TRUE(status.ok()) << status;     \
  } while (false)

// For use inside children, where gtest's own failures would be lost.
absl::Status Check(bool holds, std::string_view what) {
  if (holds) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(absl::string_view(what.data(), what.size()), " (errno ",
                                          std::strerror(errno), ")"));
}

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "linux-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "mkdtemp " << name;
    path_ = name;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(Trial, BringsStatusesBack) {
  EXPECT_OK(TryInChild([] { return absl::OkStatus(); }));
  EXPECT_EQ(TryInChild([] { return absl::NotFoundError("gone"); }), absl::NotFoundError("gone"));
  const absl::Status killed = TryInChild([]() -> absl::Status {
    raise(SIGKILL);
    return absl::OkStatus();
  });
  EXPECT_THAT(std::string(killed.message()), ::testing::HasSubstr("signal 9"));
}

TEST(Capabilities, AreGoneForGood) {
  EXPECT_OK(TryInChild([] {
    if (HasEffectiveCapability(CAP_SETPCAP)) {
      CLOISTER_RETURN_IF_ERROR(DropBoundingSet());
      CLOISTER_RETURN_IF_ERROR(LockSecurebits());
      CLOISTER_RETURN_IF_ERROR(Check(IsBoundingSetEmpty(), "bounding set"));
    }
    CLOISTER_RETURN_IF_ERROR(SetNoNewPrivileges());
    CLOISTER_RETURN_IF_ERROR(DropAllCapabilities());
    CLOISTER_RETURN_IF_ERROR(Check(!HasAnyCapability().value(), "a capability is left"));
    // Once more is no error: nothing is left to do.
    CLOISTER_RETURN_IF_ERROR(DropAllCapabilities());
    return Check(sethostname("x", 1) < 0 && errno == EPERM, "the host could be renamed");
  }));
}

TEST(Capabilities, OfRootAreSeenAndCannotComeBack) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  EXPECT_TRUE(HasAnyCapability().value());
  EXPECT_OK(TryInChild([] {
    CLOISTER_RETURN_IF_ERROR(DropBoundingSet());
    CLOISTER_RETURN_IF_ERROR(LockSecurebits());
    CLOISTER_RETURN_IF_ERROR(DropAllCapabilities());
    const pid_t pid = fork();
    if (pid == 0) {
      // Uid 0 executing a program would get everything back if it still meant something.
      execl("/bin/sh", "sh", "-c", "grep -q '^CapEff:\t0000000000000000$' /proc/self/status",
            nullptr);
      _exit(127);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return Check(status == 0, absl::StrCat("capabilities came back, status ", status));
  }));
}

TEST(Rlimits, OnlyGoDown) {
  EXPECT_OK(TryInChild([] {
    CLOISTER_RETURN_IF_ERROR(LowerRlimit(RLIMIT_NOFILE, 100));
    CLOISTER_RETURN_IF_ERROR(LowerRlimit(RLIMIT_NOFILE, 200));
    rlimit limit = {};
    getrlimit(RLIMIT_NOFILE, &limit);
    return Check(limit.rlim_cur == 100 && limit.rlim_max == 100, "it rose again");
  }));
  EXPECT_TRUE(absl::IsInvalidArgument(LowerRlimit(RLIMIT_NOFILE, -1)));
}

TEST(Rlimits, OfAProgramAreApplied) {
  EXPECT_OK(TryInChild([] {
    internal::v1::GuestLimits limits;
    limits.set_cpu_seconds(5);
    limits.set_open_file_count(32);
    limits.set_file_bytes(4096);
    CLOISTER_RETURN_IF_ERROR(ApplyBaseRlimits());
    CLOISTER_RETURN_IF_ERROR(ApplyProgramRlimits(limits));
    rlimit cpu = {}, core = {}, data = {};
    getrlimit(RLIMIT_CPU, &cpu);
    getrlimit(RLIMIT_CORE, &core);
    getrlimit(RLIMIT_DATA, &data);
    CLOISTER_RETURN_IF_ERROR(Check(cpu.rlim_cur == 5 && cpu.rlim_max == 6, "cpu"));
    CLOISTER_RETURN_IF_ERROR(Check(core.rlim_max == 0, "core"));
    return Check(data.rlim_cur == RLIM_INFINITY, "an unset limit was set");
  }));
}

TEST(CloseFds, KeepsExactlyWhatItIsTold) {
  EXPECT_OK(TryInChild([] {
    // TryInChild's own pipe must stay to bring the answer back: it is the highest one open.
    const int pipe = open("/dev/null", O_RDONLY) - 1;
    dup2(0, 50);
    dup2(0, 51);
    dup2(0, 52);
    CLOISTER_RETURN_IF_ERROR(CloseAllExcept({0, 1, 2, pipe, 51}));
    CLOISTER_RETURN_IF_ERROR(Check(fcntl(51, F_GETFD) >= 0, "51 is closed"));
    CLOISTER_RETURN_IF_ERROR(Check(fcntl(50, F_GETFD) < 0, "50 is open"));
    return Check(fcntl(52, F_GETFD) < 0, "52 is open");
  }));
  EXPECT_TRUE(absl::IsInvalidArgument(CloseAllExcept({2, 1})));
  EXPECT_TRUE(absl::IsInvalidArgument(CloseAllExcept({1, 1})));
  EXPECT_TRUE(absl::IsInvalidArgument(CloseAllExcept({-1})));
}

TEST(Landlock, BoundsWhatCanBeOpened) {
  if (LandlockAbi() == 0) GTEST_SKIP() << "this kernel has no Landlock";
  const TemporaryDirectory readable, writable, hidden;
  EXPECT_OK(TryInChild([&] {
    CLOISTER_RETURN_IF_ERROR(SetNoNewPrivileges());
    CLOISTER_ASSIGN_OR_RETURN(LandlockPolicy policy, LandlockPolicy::Create());
    CLOISTER_RETURN_IF_ERROR(policy.Allow(readable.path(), LandlockAccess::kReadExecute));
    CLOISTER_RETURN_IF_ERROR(policy.Allow(writable.path(), LandlockAccess::kReadWrite));
    CLOISTER_RETURN_IF_ERROR(policy.Allow("/dev/null", LandlockAccess::kDevice));
    CLOISTER_RETURN_IF_ERROR(std::move(policy).Enforce());
    const auto creates = [](const std::string& directory) {
      return UniqueFd(open((directory + "/f").c_str(), O_CREAT | O_WRONLY, 0600)).get() >= 0;
    };
    const auto lists = [](const std::string& directory) {
      return UniqueFd(open(directory.c_str(), O_RDONLY | O_DIRECTORY)).get() >= 0;
    };
    CLOISTER_RETURN_IF_ERROR(Check(creates(writable.path()), "cannot write where allowed"));
    CLOISTER_RETURN_IF_ERROR(Check(!creates(readable.path()), "writes to what is read-only"));
    CLOISTER_RETURN_IF_ERROR(Check(lists(readable.path()), "cannot read where allowed"));
    CLOISTER_RETURN_IF_ERROR(Check(!lists(hidden.path()), "reads what is hidden"));
    CLOISTER_RETURN_IF_ERROR(Check(!lists("/proc"), "reads /proc"));
    return Check(UniqueFd(open("/dev/null", O_WRONLY)).get() >= 0, "cannot write /dev/null");
  }));
}

TEST(Landlock, KeepsSignalsInside) {
  if (LandlockAbi() < kLandlockScopeAbi) GTEST_SKIP() << "this kernel's Landlock has no scopes";
  const pid_t outside = getpid();
  EXPECT_OK(TryInChild([&] {
    CLOISTER_RETURN_IF_ERROR(SetNoNewPrivileges());
    CLOISTER_ASSIGN_OR_RETURN(LandlockPolicy policy, LandlockPolicy::Create());
    CLOISTER_RETURN_IF_ERROR(std::move(policy).Enforce());
    CLOISTER_RETURN_IF_ERROR(Check(kill(outside, 0) < 0 && errno == EPERM, "signals its parent"));
    return Check(kill(getpid(), 0) == 0, "cannot signal itself");
  }));
}

TEST(Seccomp, IsInForceOnceInstalled) {
  const SeccompProgram program = BuildSeccompProgram({}).value();
  EXPECT_OK(TryInChild([&] {
    CLOISTER_RETURN_IF_ERROR(SetNoNewPrivileges());
    CLOISTER_RETURN_IF_ERROR(InstallSeccompProgram(program));
    CLOISTER_RETURN_IF_ERROR(
        Check(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM, "socket"));
    CLOISTER_RETURN_IF_ERROR(Check(fork() < 0 && errno == EPERM, "fork"));
    CLOISTER_RETURN_IF_ERROR(Check(!isatty(0) && errno == ENOTTY, "isatty"));
    std::thread thread([] {});
    thread.join();
    int pair[2];
    return Check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
  }));
  const absl::Status attack = TryInChild([&] {
    CLOISTER_RETURN_IF_ERROR(SetNoNewPrivileges());
    CLOISTER_RETURN_IF_ERROR(InstallSeccompProgram(program));
    signal(SIGSYS, SIG_IGN);  // does not help
    syscall(SYS_ptrace, 0, 0, 0, 0);
    return absl::OkStatus();
  });
  EXPECT_THAT(std::string(attack.message()), ::testing::HasSubstr(absl::StrCat("signal ", SIGSYS)));
}

TEST(Seccomp, InTwoPartsLetsAZygotesChildConfineItselfAndNoMore) {
  const SeccompProgram zygote = BuildSeccompProgram({.part = SeccompPart::kZygote}).value();
  const SeccompProgram rest = BuildSeccompProgram({.part = SeccompPart::kRest}).value();
  EXPECT_OK(TryInChild([&] {
    CLOISTER_RETURN_IF_ERROR(SetNoNewPrivileges());
    CLOISTER_RETURN_IF_ERROR(InstallSeccompProgram(zygote));
    CLOISTER_RETURN_IF_ERROR(
        Check(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM, "socket"));
    CLOISTER_RETURN_IF_ERROR(DropAllCapabilities());
    CLOISTER_RETURN_IF_ERROR(SetNotDumpable());
    if (LandlockAbi() > 0) {
      CLOISTER_ASSIGN_OR_RETURN(LandlockPolicy policy, LandlockPolicy::Create());
      CLOISTER_RETURN_IF_ERROR(std::move(policy).Enforce());
    }
    CLOISTER_RETURN_IF_ERROR(InstallSeccompProgram(rest));
    CLOISTER_RETURN_IF_ERROR(Check(setuid(0) < 0 && errno == EPERM, "setuid"));
    return Check(syscall(SYS_seccomp, 0, 0, nullptr) < 0 && errno == EPERM, "seccomp");
  }));
}

TEST(Seccomp, LetsProcessesRunWhereAsked) {
  const SeccompProgram program = BuildSeccompProgram({.allow_subprocesses = true}).value();
  EXPECT_OK(TryInChild([&] {
    CLOISTER_RETURN_IF_ERROR(SetNoNewPrivileges());
    CLOISTER_RETURN_IF_ERROR(InstallSeccompProgram(program));
    return Check(system("exit 3") == 3 << 8, "system(3)");
  }));
}

TEST(FeatureProbe, FindsWhatThisMachineHas) {
  absl::StatusOr<std::unique_ptr<CgroupManager>> cgroups = absl::UnavailableError("not tried");
  const internal::v1::Facilities facilities = ProbeFacilities(cgroups);
  ASSERT_EQ(static_cast<size_t>(facilities.facilities_size()), LayerNames().size());
  for (const auto& facility : facilities.facilities()) {
    // Whatever is missing says why.
    if (!facility.available()) {
      EXPECT_FALSE(facility.detail().empty()) << facility.name();
    }
    if (facility.name() == "seccomp" || facility.name() == "no_new_privs") {
      EXPECT_TRUE(facility.available()) << facility.detail();
    }
    if (facility.name() == "cgroup_memory") {
      EXPECT_EQ(facility.detail(), "not tried");
    }
  }
  if (HasEffectiveCapability(CAP_SYS_ADMIN)) {
    EXPECT_EQ(facilities.setting(), internal::v1::Facilities::SETTING_ROOT);
  } else {
    EXPECT_NE(facilities.setting(), internal::v1::Facilities::SETTING_ROOT);
  }
}

class RealCgroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    absl::StatusOr<std::unique_ptr<CgroupManager>> manager = CgroupManager::Create();
    if (!manager.ok()) GTEST_SKIP() << manager.status();
    manager_ = *std::move(manager);
    if (!manager_->HasController("memory")) GTEST_SKIP() << manager_->Available("memory");
  }

  // A child that waits to be attached, then does as told.
  template <typename Function>
  pid_t StartChild(Function function) {
    EXPECT_EQ(pipe(go_), 0);
    const pid_t pid = fork();
    if (pid == 0) {
      char byte;
      close(go_[1]);
      if (read(go_[0], &byte, 1) != 1) _exit(120);
      function();
      _exit(0);
    }
    close(go_[0]);
    return pid;
  }
  void Go() {
    EXPECT_EQ(write(go_[1], "g", 1), 1);
    close(go_[1]);
  }
  static int Reap(pid_t pid) {
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    return status;
  }

  int go_[2] = {-1, -1};
  std::unique_ptr<CgroupManager> manager_;
};

TEST_F(RealCgroupTest, EndsWhoTakesTooMuchMemory) {
  internal::v1::CgroupLimits limits;
  limits.set_memory_bytes(16 << 20);
  auto group = manager_->Acquire(limits).value();
  const pid_t pid = StartChild([] {
    constexpr size_t kBytes = 64 << 20;
    void* memory =
        mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(memory, 1, kBytes);
  });
  const int64_t kills = group->OomKillCount().value();
  EXPECT_OK(group->Attach(pid));
  Go();
  const int status = Reap(pid);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  EXPECT_EQ(group->OomKillCount().value(), kills + 1);
  EXPECT_GT(group->PeakBytes().value(), 12 << 20);
  EXPECT_LE(group->PeakBytes().value(), 16 << 20);
  const std::string name = group->name();
  EXPECT_OK(manager_->Release(std::move(group)));
  // The next one starts afresh, and may have more.
  limits.set_memory_bytes(64 << 20);
  group = manager_->Acquire(limits).value();
  EXPECT_EQ(group->name(), name);
  EXPECT_LT(group->PeakBytes().value(), 4 << 20);
}

TEST_F(RealCgroupTest, KillsForkersAndEndsEmpty) {
  internal::v1::CgroupLimits limits;
  limits.set_memory_bytes(64 << 20);
  limits.set_process_count(20);
  auto group = manager_->Acquire(limits).value();
  const pid_t pid = StartChild([] {
    signal(SIGCHLD, SIG_IGN);
    while (true) {
      if (fork() == 0) continue;
    }
  });
  EXPECT_OK(group->Attach(pid));
  Go();
  EXPECT_FALSE(group->IsEmpty().value());
  EXPECT_OK(group->KillAll());
  EXPECT_TRUE(WIFSIGNALED(Reap(pid)));
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (!group->IsEmpty().value() && absl::Now() < deadline) sched_yield();
  EXPECT_OK(manager_->Release(std::move(group)));
}

// What is left of a maker that was killed, with a process in it, goes when it is told to.
TEST_F(RealCgroupTest, OfAKilledMakerAreRemovedWithWhoLivesThere) {
  int report[2];
  ASSERT_EQ(pipe(report), 0);
  const pid_t maker = fork();
  if (maker == 0) {
    auto manager = CgroupManager::Create();
    auto group = (*manager)->Acquire({});
    const pid_t member = fork();
    if (member == 0) {
      // The lock is the maker's alone. The pipe goes after it: its end tells that this is done.
      CloseAllExcept({0, 1, 2, report[1]}).IgnoreError();
      close(report[1]);
      pause();
    }
    const bool good = (*group)->Attach(member).ok();
    const std::string path = good ? (*manager)->Paths().front() : "";
    if (write(report[1], path.data(), path.size()) < 0) _exit(1);
    raise(SIGKILL);
  }
  close(report[1]);
  char path[4096] = {};
  ASSERT_GT(read(report[0], path, sizeof(path) - 1), 0);
  char nothing;
  ASSERT_EQ(read(report[0], &nothing, 1), 0);
  close(report[0]);
  EXPECT_TRUE(WIFSIGNALED(Reap(maker)));
  EXPECT_TRUE(std::filesystem::exists(path)) << path;
  // The next manager finds its lock open.
  manager_.reset();
  manager_ = CgroupManager::Create().value();
  EXPECT_FALSE(std::filesystem::exists(path)) << path;
}

TEST_F(RealCgroupTest, LeavesNoDirectoryBehind) {
  const std::vector<std::string> paths = manager_->Paths();
  { const auto group = manager_->Acquire({}).value(); }
  for (const std::string& path : paths) EXPECT_TRUE(std::filesystem::exists(path)) << path;
  manager_.reset();
  for (const std::string& path : paths) EXPECT_FALSE(std::filesystem::exists(path)) << path;
}

}  // namespace
}  // namespace cloister::sandbox
