#include "sandbox/linux/cgroup_v2.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/linux/cgroup_base.h"
#include "sandbox/linux/cgroup_parse.h"

namespace cloister::sandbox {
namespace {

constexpr char kHostLeaf[] = "/cloister.host";
constexpr int64_t kPeriodMicroseconds = 100'000;
constexpr int64_t kNegligibleBytes = int64_t{2} << 20;
constexpr std::array<const char*, 3> kControllers = {"memory", "pids", "cpu"};

class CgroupV2 final : public Cgroup {
 public:
  static absl::StatusOr<std::unique_ptr<CgroupV2>> Make(std::shared_ptr<CgroupTree> tree,
                                                        const std::string& base,
                                                        const std::string& name) {
    std::string directory = absl::StrCat(base, "/", name);
    CLOISTER_RETURN_IF_ERROR(tree->MakeDirectory(directory));
    std::unique_ptr<CgroupV2> group(new CgroupV2(std::move(tree), std::move(directory), name));
    CLOISTER_RETURN_IF_ERROR(group->OpenFiles());
    return group;
  }

  ~CgroupV2() override { tree_->RemoveDirectory(directory_).IgnoreError(); }

  const std::string& name() const override { return name_; }

  absl::Status SetLimits(const internal::v1::CgroupLimits& limits) override {
    CLOISTER_RETURN_IF_ERROR(WriteLimit(max_, limits.memory_bytes()));
    CLOISTER_RETURN_IF_ERROR(WriteLimit(pids_max_, limits.process_count()));
    if (!cpu_max_.is_present()) return absl::OkStatus();
    const std::string quota =
        limits.cpu_millis() == 0 ? "max"
                                 : absl::StrCat(limits.cpu_millis() * (kPeriodMicroseconds / 1000));
    return cpu_max_.Write(absl::StrCat(quota, " ", kPeriodMicroseconds));
  }

  absl::Status Attach(pid_t pid) override { return procs_.Write(pid); }

  absl::StatusOr<int64_t> OomKillCount() override {
    CLOISTER_ASSIGN_OR_RETURN(const std::string text, events_.Read());
    return ParseOomKills(text);
  }
  absl::StatusOr<int64_t> PeakBytes() override { return peak_.ReadCounter(); }
  absl::StatusOr<int64_t> CurrentBytes() override { return current_.ReadCounter(); }
  absl::StatusOr<int64_t> CpuNanoseconds() override {
    CLOISTER_ASSIGN_OR_RETURN(const std::string text, cpu_stat_.Read());
    CLOISTER_ASSIGN_OR_RETURN(const int64_t microseconds, ParseKeyedCounter(text, "usage_usec"));
    return microseconds * 1000;
  }

  // Any text resets, but only for readers of the open file it was written to.
  absl::Status ResetPeak() override {
    if (!max_.is_present()) return absl::OkStatus();
    if (!peak_resets_)
      return absl::UnimplementedError("memory.peak cannot be reset before Linux 6.12");
    return peak_.Write("reset");
  }

  absl::StatusOr<UniqueFd> OpenPeakFile() override { return peak_.Duplicate(); }
  absl::StatusOr<UniqueFd> OpenCpuFile() override { return cpu_stat_.Duplicate(); }
  absl::StatusOr<UniqueFd> OpenUsageFile() override { return current_.Duplicate(); }
  absl::StatusOr<UniqueFd> OpenMemoryStatFile() override { return stat_.OpenToRead(); }

  // Not the peak, which starts anew for readers of one open file only.
  void Rest() override {
    for (ControlFile* file : {&procs_, &state_, &cpu_stat_, &current_, &events_}) file->Rest();
  }

  absl::Status KillAll() override {
    if (pids_max_.is_present()) CLOISTER_RETURN_IF_ERROR(pids_max_.Write(0));
    return kill_.is_present() ? kill_.Write(1) : KillMembers(directory_);
  }

  absl::StatusOr<bool> IsEmpty() override {
    CLOISTER_ASSIGN_OR_RETURN(const std::string text, state_.Read());
    CLOISTER_ASSIGN_OR_RETURN(const int64_t populated, ParseKeyedCounter(text, "populated"));
    return populated == 0;
  }

  absl::StatusOr<int64_t> Reclaim() override {
    if (!reclaim_.is_present()) return 0;
    CLOISTER_ASSIGN_OR_RETURN(const int64_t bytes, CurrentBytes());
    if (bytes < kNegligibleBytes) return bytes;
    reclaim_.Write(bytes).IgnoreError();  // EAGAIN says that less could be had
    return CurrentBytes();
  }

 private:
  CgroupV2(std::shared_ptr<CgroupTree> tree, std::string directory, std::string name)
      : tree_(std::move(tree)), directory_(std::move(directory)), name_(std::move(name)) {}

  static absl::Status WriteLimit(const ControlFile& file, int64_t limit) {
    if (!file.is_present()) return absl::OkStatus();
    return limit == 0 ? file.Write("max") : file.Write(limit);
  }

  absl::Status OpenFiles() {
    CLOISTER_ASSIGN_OR_RETURN(procs_, ControlFile::Open(Path("cgroup.procs"), O_RDWR));
    CLOISTER_ASSIGN_OR_RETURN(state_, ControlFile::Open(Path("cgroup.events"), O_RDONLY));
    CLOISTER_ASSIGN_OR_RETURN(cpu_stat_, ControlFile::Open(Path("cpu.stat"), O_RDONLY));
    kill_ = ControlFile::OpenedOnUse(Path("cgroup.kill"));
    pids_max_ = ControlFile::OpenedOnUse(Path("pids.max"));
    cpu_max_ = ControlFile::OpenedOnUse(Path("cpu.max"));
    max_ = ControlFile::OpenedOnUse(Path("memory.max"));
    return max_.is_present() ? OpenMemoryFiles() : absl::OkStatus();
  }

  absl::Status OpenMemoryFiles() {
    CLOISTER_ASSIGN_OR_RETURN(current_, ControlFile::Open(Path("memory.current"), O_RDONLY));
    CLOISTER_ASSIGN_OR_RETURN(events_, ControlFile::Open(Path("memory.events"), O_RDONLY));
    reclaim_ = ControlFile::OpenedOnUse(Path("memory.reclaim"));
    stat_ = ControlFile::OpenedOnUse(Path("memory.stat"));
    // Where the peak cannot be reset, the kernel does not let even root open it for writing; root's
    // open succeeds all the same, so the first reset is what tells.
    absl::StatusOr<ControlFile> peak = ControlFile::OpenIfPresent(Path("memory.peak"), O_RDWR);
    peak_resets_ = peak.ok() && peak->is_present() && peak->Write("reset").ok();
    if (!peak.ok()) peak = ControlFile::Open(Path("memory.peak"), O_RDONLY);
    CLOISTER_ASSIGN_OR_RETURN(peak_, std::move(peak));
    // No swap beside the memory, and no half-killed sandboxes.
    const ControlFile swap = ControlFile::OpenedOnUse(Path("memory.swap.max"));
    if (swap.is_present()) CLOISTER_RETURN_IF_ERROR(swap.Write(0));
    return WriteControl(Path("memory.oom.group"), "1");
  }

  std::string Path(const char* file) const { return absl::StrCat(directory_, "/", file); }

  const std::shared_ptr<CgroupTree> tree_;
  const std::string directory_;
  const std::string name_;
  ControlFile procs_, state_, kill_, cpu_stat_, cpu_max_, pids_max_;
  ControlFile max_, current_, peak_, events_, reclaim_, stat_;
  bool peak_resets_ = false;
};

class HierarchyV2 final : public CgroupHierarchies {
 public:
  HierarchyV2(std::shared_ptr<CgroupTree> tree, std::string own)
      : tree_(std::move(tree)), own_(std::move(own)) {}

  ~HierarchyV2() override {
    base_.reset();
    Restore();
  }

  absl::Status Start() {
    // What every group needs; a kernel without it is too old, whatever the permissions.
    CLOISTER_ASSIGN_OR_RETURN(const std::string offered,
                              ReadSmallFile(absl::StrCat(own_, "/cgroup.controllers")));
    CLOISTER_RETURN_IF_ERROR(LeaveOwnGroup(offered));
    CLOISTER_ASSIGN_OR_RETURN(base_, CgroupBase::Make(tree_, own_));
    paths_ = {base_->path()};
    for (const char* controller : kControllers) {
      problems_[controller] = Enable(controller, offered);
    }
    return absl::OkStatus();
  }

  std::string_view version() const override { return "v2"; }

  absl::Status Available(std::string_view controller) const override {
    const auto problem = problems_.find(controller);
    return problem == problems_.end() ? absl::NotFoundError("no such controller") : problem->second;
  }

  const std::vector<std::string>& paths() const override { return paths_; }

  absl::StatusOr<std::unique_ptr<Cgroup>> Make(const std::string& name) override {
    return CgroupV2::Make(tree_, base_->path(), name);
  }

 private:
  static bool Lists(absl::string_view text, absl::string_view controller) {
    for (const absl::string_view name : absl::StrSplit(text, absl::ByAnyChar(" \n"))) {
      if (name == controller) return true;
    }
    return false;
  }

  // A group that gives controllers to its children may have no processes of its own, but for the
  // root of all groups, which has no type.
  absl::Status LeaveOwnGroup(const std::string& offered) {
    CLOISTER_ASSIGN_OR_RETURN(const std::string given,
                              ReadSmallFile(absl::StrCat(own_, "/cgroup.subtree_control")));
    const bool done = std::all_of(kControllers.begin(), kControllers.end(), [&](const char* name) {
      return Lists(given, name) || !Lists(offered, name);
    });
    if (done || absl::IsNotFound(ReadSmallFile(absl::StrCat(own_, "/cgroup.type")).status())) {
      return absl::OkStatus();
    }
    const absl::Status made = tree_->MakeDirectory(own_ + kHostLeaf);
    if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
    moved_ = true;
    return MoveAll(own_, own_ + kHostLeaf);
  }

  static absl::Status MoveAll(const std::string& from, const std::string& to) {
    CLOISTER_ASSIGN_OR_RETURN(const std::string text,
                              ReadSmallFile(absl::StrCat(from, "/cgroup.procs")));
    CLOISTER_ASSIGN_OR_RETURN(const std::vector<pid_t> pids, ParsePids(text));
    for (const pid_t pid : pids) {
      const absl::Status status =
          WriteControl(absl::StrCat(to, "/cgroup.procs"), absl::StrCat(pid));
      if (!status.ok() && !absl::IsNotFound(status)) return status;  // NOT_FOUND: it has ended
    }
    return absl::OkStatus();
  }

  absl::Status Enable(const std::string& controller, const std::string& offered) {
    if (!Lists(offered, controller)) {
      return absl::FailedPreconditionError(
          absl::StrCat(own_, " has no ", controller,
                       " controller: have it delegated (systemd: Delegate=memory pids cpu)"));
    }
    for (const std::string& group : {own_, base_->path()}) {
      const absl::Status status = WriteControl(absl::StrCat(group, "/cgroup.subtree_control"),
                                               absl::StrCat("+", controller));
      if (!status.ok()) {
        return absl::FailedPreconditionError(absl::StrCat(
            status.message(), ": start in a cgroup delegated to this user, alone in it"));
      }
    }
    return absl::OkStatus();
  }

  // Undoes LeaveOwnGroup as far as nobody else relies on it; a second spawner beside us does.
  void Restore() {
    if (!moved_) return;
    for (const char* controller : kControllers) {
      const absl::Status status = WriteControl(absl::StrCat(own_, "/cgroup.subtree_control"),
                                               absl::StrCat("-", controller));
      if (!status.ok() && problems_[controller].ok()) return;
    }
    MoveAll(own_ + kHostLeaf, own_).IgnoreError();
    tree_->RemoveDirectory(own_ + kHostLeaf).IgnoreError();
  }

  const std::shared_ptr<CgroupTree> tree_;
  const std::string own_;
  bool moved_ = false;
  std::unique_ptr<CgroupBase> base_;
  std::vector<std::string> paths_;
  std::map<std::string, absl::Status, std::less<>> problems_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CgroupHierarchies>> MakeCgroupsV2(const CgroupSystem& system) {
  const std::vector<CgroupMount> mounts = ParseCgroupMounts(system.mountinfo);
  const auto mount = std::find_if(mounts.begin(), mounts.end(),
                                  [](const CgroupMount& candidate) { return candidate.unified; });
  if (mount == mounts.end()) {
    return absl::FailedPreconditionError(
        "no cgroup hierarchy has a memory controller: mount cgroup2 on /sys/fs/cgroup");
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::string cgroup, ParseOwnCgroup(system.own_cgroups, ""));
  const std::string own = DirectoryOf(*mount, cgroup);
  auto hierarchy =
      std::make_unique<HierarchyV2>(system.tree, std::string(absl::StripSuffix(own, kHostLeaf)));
  const absl::Status status = hierarchy->Start();
  if (!status.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat(status.message(), ": start as root, or in a cgroup delegated to this user"));
  }
  for (const char* controller : kControllers) {
    if (hierarchy->Available(controller).ok()) return hierarchy;
  }
  return hierarchy->Available("memory");
}

}  // namespace cloister::sandbox
