#include "sandbox/linux/cgroup_v1.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/linux/cgroup_base.h"
#include "sandbox/linux/cgroup_parse.h"

namespace cloister::sandbox {
namespace {

constexpr int64_t kPeriodMicroseconds = 100'000;
constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();
// Less than this in an empty group is the kernel's own accounting slack, not worth reclaiming.
constexpr int64_t kNegligibleBytes = int64_t{2} << 20;

// Controllers, in the order in which a process is moved. cpuacct only counts.
constexpr std::array<const char*, 4> kControllers = {"memory", "pids", "cpuacct", "cpu"};

// One group's directory in one hierarchy.
struct Member {
  std::string directory;
  ControlFile procs;
};

class CgroupV1 final : public Cgroup {
 public:
  // `bases` maps controllers to directories; co-mounted ones share theirs.
  static absl::StatusOr<std::unique_ptr<CgroupV1>> Make(
      std::shared_ptr<CgroupTree> tree, const std::map<std::string, std::string>& bases,
      const std::string& name) {
    std::unique_ptr<CgroupV1> group(new CgroupV1(std::move(tree), name));
    for (const char* controller : kControllers) {
      const auto base = bases.find(controller);
      if (base == bases.end()) continue;
      CLOISTER_RETURN_IF_ERROR(group->Join(controller, absl::StrCat(base->second, "/", name)));
    }
    return group;
  }

  ~CgroupV1() override {
    for (const Member& member : members_) tree_->RemoveDirectory(member.directory).IgnoreError();
    if (!cpu_.directory.empty()) tree_->RemoveDirectory(cpu_.directory).IgnoreError();
  }

  const std::string& name() const override { return name_; }

  absl::Status SetLimits(const internal::v1::CgroupLimits& limits) override {
    CLOISTER_RETURN_IF_ERROR(
        SetMemory(limits.memory_bytes() == 0 ? kUnlimited : limits.memory_bytes()));
    CLOISTER_RETURN_IF_ERROR(SetProcesses(limits.process_count()));
    return SetCpu(limits.cpu_millis());
  }

  absl::Status Attach(pid_t pid) override {
    for (const Member& member : members_) CLOISTER_RETURN_IF_ERROR(member.procs.Write(pid));
    // Moving between groups of the scheduler costs more than all others together: only for a bound.
    if (cpu_.procs.is_present() && cpu_millis_ != 0) return cpu_.procs.Write(pid);
    return absl::OkStatus();
  }

  absl::StatusOr<int64_t> OomKillCount() override {
    CLOISTER_ASSIGN_OR_RETURN(const std::string text, oom_control_.Read());
    return ParseOomKills(text);
  }
  absl::StatusOr<int64_t> PeakBytes() override { return peak_.ReadCounter(); }
  absl::StatusOr<int64_t> CurrentBytes() override { return usage_.ReadCounter(); }
  absl::StatusOr<int64_t> CpuNanoseconds() override { return cpu_usage_.ReadCounter(); }
  absl::Status ResetPeak() override {
    return peak_.is_present() ? peak_.Write(0) : absl::OkStatus();
  }

  absl::StatusOr<UniqueFd> OpenPeakFile() override { return peak_.Duplicate(); }
  absl::StatusOr<UniqueFd> OpenCpuFile() override { return cpu_usage_.Duplicate(); }
  absl::StatusOr<UniqueFd> OpenUsageFile() override { return usage_.Duplicate(); }
  absl::StatusOr<UniqueFd> OpenMemoryStatFile() override { return stat_.OpenToRead(); }

  void Rest() override {
    for (Member& member : members_) member.procs.Rest();
    for (ControlFile* file :
         {&cpu_.procs, &peak_, &usage_, &oom_control_, &pids_current_, &cpu_usage_}) {
      file->Rest();
    }
  }

  absl::Status KillAll() override {
    if (pids_max_.is_present()) {
      CLOISTER_RETURN_IF_ERROR(pids_max_.Write(0));
      process_count_ = kNobody;
    }
    return KillMembers(members_.front().directory);
  }

  absl::StatusOr<bool> IsEmpty() override {
    // Where nobody is charged for, not even a zombie, nobody is there: a tenth of what the list costs.
    if (pids_current_.is_present() && pids_current_.ReadCounter().value_or(1) == 0) return true;
    CLOISTER_ASSIGN_OR_RETURN(const std::string pids, ReadMembers());
    return pids.empty();
  }

  absl::StatusOr<int64_t> Reclaim() override {
    if (!usage_.is_present()) return 0;
    CLOISTER_ASSIGN_OR_RETURN(const int64_t bytes, CurrentBytes());
    if (bytes < kNegligibleBytes) return bytes;
    force_empty_.Write(0).IgnoreError();  // a page somebody else maps may stay
    return CurrentBytes();
  }

 private:
  static constexpr int64_t kNobody = -1;  // no limit is that; see KillAll

  CgroupV1(std::shared_ptr<CgroupTree> tree, std::string name)
      : tree_(std::move(tree)), name_(std::move(name)) {}

  // Makes the directory unless a co-mounted controller has, and opens the controller's files.
  absl::Status Join(std::string_view controller, const std::string& directory) {
    const bool shared = std::any_of(members_.begin(), members_.end(), [&](const Member& member) {
      return member.directory == directory;
    });
    if (!shared) {
      CLOISTER_RETURN_IF_ERROR(tree_->MakeDirectory(directory));
      Member& member = controller == "cpu" ? cpu_ : members_.emplace_back();
      member.directory = directory;
      const std::string procs = absl::StrCat(directory, "/cgroup.procs");
      member.procs = ControlFile::OpenedOnUse(procs);
      if (&member != &cpu_) {
        CLOISTER_ASSIGN_OR_RETURN(member.procs, ControlFile::Open(procs, O_WRONLY));
      }
    }
    return OpenFiles(controller, absl::StrCat(directory, "/"));
  }

  absl::Status OpenFiles(std::string_view controller, const std::string& prefix) {
    if (controller == "memory") return OpenMemoryFiles(prefix);
    if (controller == "pids") {
      pids_max_ = ControlFile::OpenedOnUse(prefix + "pids.max");
      CLOISTER_ASSIGN_OR_RETURN(pids_current_,
                                ControlFile::OpenIfPresent(prefix + "pids.current", O_RDONLY));
    } else if (controller == "cpuacct") {
      CLOISTER_ASSIGN_OR_RETURN(cpu_usage_, ControlFile::Open(prefix + "cpuacct.usage", O_RDONLY));
    } else {
      cpu_quota_ = ControlFile::OpenedOnUse(prefix + "cpu.cfs_quota_us");
      return WriteControl(prefix + "cpu.cfs_period_us", absl::StrCat(kPeriodMicroseconds));
    }
    return absl::OkStatus();
  }

  absl::Status OpenMemoryFiles(const std::string& prefix) {
    limit_ = ControlFile::OpenedOnUse(prefix + "memory.limit_in_bytes");
    swap_limit_ = ControlFile::OpenedOnUse(prefix + "memory.memsw.limit_in_bytes");
    force_empty_ = ControlFile::OpenedOnUse(prefix + "memory.force_empty");
    stat_ = ControlFile::OpenedOnUse(prefix + "memory.stat");
    CLOISTER_ASSIGN_OR_RETURN(usage_,
                              ControlFile::Open(prefix + "memory.usage_in_bytes", O_RDONLY));
    CLOISTER_ASSIGN_OR_RETURN(peak_,
                              ControlFile::Open(prefix + "memory.max_usage_in_bytes", O_RDWR));
    // The parent may have its killer off; ours is on.
    CLOISTER_RETURN_IF_ERROR(WriteControl(prefix + "memory.oom_control", "0"));
    CLOISTER_ASSIGN_OR_RETURN(oom_control_,
                              ControlFile::Open(prefix + "memory.oom_control", O_RDONLY));
    return absl::OkStatus();
  }

  // Memory and swap together may never be less than memory alone, not even for a moment.
  absl::Status SetMemory(int64_t bytes) {
    if (!limit_.is_present() || bytes == memory_bytes_) return absl::OkStatus();
    const int64_t value = bytes == kUnlimited ? -1 : bytes;
    const bool raising = bytes > memory_bytes_;
    if (raising && swap_limit_.is_present()) CLOISTER_RETURN_IF_ERROR(swap_limit_.Write(value));
    CLOISTER_RETURN_IF_ERROR(limit_.Write(value));
    if (!raising && swap_limit_.is_present()) CLOISTER_RETURN_IF_ERROR(swap_limit_.Write(value));
    memory_bytes_ = bytes;
    return absl::OkStatus();
  }

  absl::Status SetProcesses(int64_t count) {
    if (!pids_max_.is_present() || count == process_count_) return absl::OkStatus();
    CLOISTER_RETURN_IF_ERROR(count == 0 ? pids_max_.Write("max") : pids_max_.Write(count));
    process_count_ = count;
    return absl::OkStatus();
  }

  absl::Status SetCpu(int64_t millis) {
    if (!cpu_quota_.is_present() || millis == cpu_millis_) return absl::OkStatus();
    CLOISTER_RETURN_IF_ERROR(
        cpu_quota_.Write(millis == 0 ? -1 : millis * (kPeriodMicroseconds / 1000)));
    const bool bound_now = cpu_millis_ == 0 && millis != 0;
    cpu_millis_ = millis;
    return bound_now && cpu_.procs.is_present() ? MoveMembersToCpu() : absl::OkStatus();
  }

  // Opened anew each time: as long as it is read often, an open file goes on telling what it told
  // first.
  absl::StatusOr<std::string> ReadMembers() const {
    return ReadSmallFile(absl::StrCat(members_.front().directory, "/cgroup.procs"));
  }

  // Those that joined while there was no bound. What they fork meanwhile is in the next pass.
  absl::Status MoveMembersToCpu() {
    size_t moved = 0;
    while (true) {
      CLOISTER_ASSIGN_OR_RETURN(const std::string text, ReadMembers());
      CLOISTER_ASSIGN_OR_RETURN(const std::vector<pid_t> pids, ParsePids(text));
      if (pids.size() <= moved) return absl::OkStatus();
      for (const pid_t pid : pids) cpu_.procs.Write(pid).IgnoreError();  // it may have ended
      moved = pids.size();
    }
  }

  const std::shared_ptr<CgroupTree> tree_;
  const std::string name_;
  std::vector<Member> members_;  // memory first, where there is one
  Member cpu_;                   // where it is a hierarchy of its own
  ControlFile limit_, swap_limit_, peak_, usage_, force_empty_, stat_, oom_control_;
  ControlFile pids_max_, pids_current_, cpu_usage_, cpu_quota_;
  int64_t memory_bytes_ = kUnlimited;
  int64_t process_count_ = 0;
  int64_t cpu_millis_ = 0;
};

class HierarchiesV1 final : public CgroupHierarchies {
 public:
  explicit HierarchiesV1(const CgroupSystem& system) : tree_(system.tree) {
    for (const char* controller : kControllers) problems_[controller] = Open(system, controller);
  }

  std::string_view version() const override { return "v1"; }

  absl::Status Available(std::string_view controller) const override {
    const auto problem = problems_.find(controller);
    return problem == problems_.end() ? absl::NotFoundError("no such controller") : problem->second;
  }

  const std::vector<std::string>& paths() const override { return paths_; }

  absl::StatusOr<std::unique_ptr<Cgroup>> Make(const std::string& name) override {
    return CgroupV1::Make(tree_, directories_, name);
  }

 private:
  absl::Status Open(const CgroupSystem& system, const std::string& controller) {
    const std::vector<CgroupMount> mounts = ParseCgroupMounts(system.mountinfo);
    const auto mount =
        std::find_if(mounts.begin(), mounts.end(), [&](const CgroupMount& candidate) {
          return std::find(candidate.controllers.begin(), candidate.controllers.end(),
                           controller) != candidate.controllers.end();
        });
    if (mount == mounts.end()) {
      return absl::FailedPreconditionError(
          absl::StrCat("no cgroup hierarchy has the ", controller, " controller: mount one"));
    }
    CLOISTER_ASSIGN_OR_RETURN(const std::string own,
                              ParseOwnCgroup(system.own_cgroups, controller));
    const std::string parent = DirectoryOf(*mount, own);
    for (const std::unique_ptr<CgroupBase>& base : bases_) {
      if (base->path().rfind(parent + "/", 0) != 0) continue;
      directories_[controller] = base->path();  // mounted together with an earlier one
      return absl::OkStatus();
    }
    absl::StatusOr<std::unique_ptr<CgroupBase>> base = CgroupBase::Make(tree_, parent);
    if (!base.ok()) {
      return absl::FailedPreconditionError(absl::StrCat(base.status().message(),
                                                        ": start as root, or have the ", controller,
                                                        " cgroup delegated to this user"));
    }
    directories_[controller] = (*base)->path();
    paths_.push_back((*base)->path());
    bases_.push_back(*std::move(base));
    return absl::OkStatus();
  }

  const std::shared_ptr<CgroupTree> tree_;
  std::vector<std::unique_ptr<CgroupBase>> bases_;
  std::vector<std::string> paths_;
  std::map<std::string, std::string> directories_;
  std::map<std::string, absl::Status, std::less<>> problems_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CgroupHierarchies>> MakeCgroupsV1(const CgroupSystem& system) {
  auto hierarchies = std::make_unique<HierarchiesV1>(system);
  if (hierarchies->Available("memory").ok() || hierarchies->Available("pids").ok() ||
      hierarchies->Available("cpu").ok()) {
    return hierarchies;
  }
  return absl::FailedPreconditionError(hierarchies->Available("memory").message());
}

}  // namespace cloister::sandbox
