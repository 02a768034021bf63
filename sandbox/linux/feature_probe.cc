#include "sandbox/linux/feature_probe.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/linux/capabilities.h"
#include "sandbox/linux/landlock.h"
#include "sandbox/linux/rlimits.h"
#include "sandbox/linux/seccomp_filter.h"
#include "sandbox/linux/traced_process.h"
#include "sandbox/linux/trial.h"
#include "sandbox/linux/user_namespace.h"

namespace cloister::sandbox {
namespace {

using internal::v1::Facilities;
using internal::v1::Facility;

// In the order in which a sandbox gets them.
constexpr std::array<std::string_view, 20> kLayerNames = {
    "user_namespace",   "pid_namespace",     "mount_namespace", "ipc_namespace", "uts_namespace",
    "cgroup_namespace", "network_namespace", "read_only_root",  "private_proc",  "private_tmpfs",
    "cgroup_memory",    "cgroup_pids",       "cgroup_cpu",      "capabilities",  "no_new_privs",
    "not_dumpable",     "landlock",          "landlock_scope",  "seccomp",       "rlimits"};

constexpr std::string_view kNamespaceRemedy =
    "start as root with CAP_SYS_ADMIN, or allow unprivileged user namespaces (sysctl "
    "user.max_user_namespaces above 0, kernel.unprivileged_userns_clone=1 and "
    "kernel.apparmor_restrict_unprivileged_userns=0 where they exist; in a container, a seccomp "
    "profile that allows unshare)";
constexpr std::string_view kMountRemedy =
    "start as root with CAP_SYS_ADMIN, or in a container with an unmasked /proc (Kubernetes: "
    "procMount: "
    "Unmasked)";
constexpr std::string_view kKernelRemedy =
    "run a kernel of Linux 5.13 or newer that has it built in";
constexpr std::string_view kLandlockRemedy =
    "run Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK and landlock in the kernel parameter "
    "lsm=";
constexpr std::string_view kScopeRemedy = "run Linux 6.12 or newer";

// A file system of any kind can be mounted over it in a namespace that is thrown away.
constexpr char kMountPoint[] = "/tmp";

using Trial = absl::Status (*)();

absl::Status Unshare(int flags) {
  if (::unshare(flags) < 0) return SyscallError("unshare");
  return absl::OkStatus();
}

template <int kFlag>
absl::Status TryNamespace() {
  return Unshare(kFlag);
}

absl::Status MountTmpfs() {
  CLOISTER_RETURN_IF_ERROR(Unshare(CLONE_NEWNS));
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) {
    return SyscallError("make mounts private");
  }
  if (::mount("tmpfs", kMountPoint, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m") < 0) {
    return SyscallError("mount tmpfs");
  }
  return absl::OkStatus();
}

absl::Status TryReadOnlyRoot() {
  CLOISTER_RETURN_IF_ERROR(MountTmpfs());
  constexpr unsigned long kFlags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV;
  if (::mount("none", kMountPoint, nullptr, kFlags, nullptr) < 0) {
    return SyscallError("remount read-only");
  }
  const UniqueFd file(::open("/tmp/probe", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  if (file || errno != EROFS) return absl::InternalError("a read-only mount could be written to");
  return absl::OkStatus();
}

absl::Status TryPrivateProc() {
  CLOISTER_RETURN_IF_ERROR(Unshare(CLONE_NEWNS | CLONE_NEWPID));
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) {
    return SyscallError("make mounts private");
  }
  // Only a process inside the new pid namespace can mount its /proc.
  return TryInChild([] {
    if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) < 0) {
      return SyscallError("mount proc");
    }
    return absl::OkStatus();
  });
}

absl::Status TryCapabilities() {
  // Without CAP_SETPCAP the bounding set stays, which no_new_privs makes harmless.
  if (HasEffectiveCapability(CAP_SETPCAP)) {
    CLOISTER_RETURN_IF_ERROR(DropBoundingSet());
    CLOISTER_RETURN_IF_ERROR(LockSecurebits());
    if (!IsBoundingSetEmpty()) return absl::InternalError("the bounding set is not empty");
  }
  CLOISTER_RETURN_IF_ERROR(DropAllCapabilities());
  CLOISTER_ASSIGN_OR_RETURN(const bool any, HasAnyCapability());
  return any ? absl::InternalError("some capabilities stay") : absl::OkStatus();
}

absl::Status TryNoNewPrivileges() {
  CLOISTER_RETURN_IF_ERROR(SetNoNewPrivileges());
  return ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1
             ? absl::OkStatus()
             : absl::InternalError("no_new_privs does not stay");
}

absl::Status TryNotDumpable() {
  CLOISTER_RETURN_IF_ERROR(SetNotDumpable());
  return ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 ? absl::OkStatus()
                                                   : absl::InternalError("it stays dumpable");
}

absl::Status TryLandlock() {
  CLOISTER_RETURN_IF_ERROR(SetNoNewPrivileges());
  CLOISTER_ASSIGN_OR_RETURN(LandlockPolicy policy, LandlockPolicy::Create());
  CLOISTER_RETURN_IF_ERROR(std::move(policy).Enforce());
  const UniqueFd root(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (root || errno != EACCES) return absl::InternalError("an empty policy let / be opened");
  return absl::OkStatus();
}

absl::Status TryLandlockScope() {
  const int abi = LandlockAbi();
  if (abi >= kLandlockScopeAbi) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("Landlock ABI ", abi, " has no scopes, ABI ", kLandlockScopeAbi, " has"));
}

absl::Status TrySeccomp() {
  CLOISTER_RETURN_IF_ERROR(SetNoNewPrivileges());
  CLOISTER_ASSIGN_OR_RETURN(const SeccompProgram program, BuildSeccompProgram({}));
  CLOISTER_RETURN_IF_ERROR(InstallSeccompProgram(program));
  // Of no effect, and refused by the table with an errno that the kernel itself would not give.
  if (::syscall(SYS_capset, nullptr, nullptr) == 0 || errno != EPERM) {
    return absl::InternalError("the filter let capset through");
  }
  return absl::OkStatus();
}

absl::Status TryRlimits() {
  CLOISTER_RETURN_IF_ERROR(ApplyBaseRlimits());
  rlimit limit = {};
  if (::getrlimit(RLIMIT_CORE, &limit) < 0) return SyscallError("getrlimit");
  return limit.rlim_max == 0 ? absl::OkStatus() : absl::InternalError("limits do not stay");
}

constexpr std::string_view kScratchInstead =
    "sandboxes have a private scratch directory on disk instead, of which only the size of each "
    "file "
    "is bounded; ";

// A layer that is tried by doing it.
struct Layer {
  std::string_view name;
  Trial trial;
  bool needs_privileges;  // those of root, or of root in a user namespace
  std::string_view remedy;
};

constexpr Layer kTriedLayers[] = {
    {"user_namespace", BecomeRootOfOwnUserNamespace, false, kNamespaceRemedy},
    {"pid_namespace", TryNamespace<CLONE_NEWPID>, true, kNamespaceRemedy},
    {"mount_namespace", TryNamespace<CLONE_NEWNS>, true, kNamespaceRemedy},
    {"ipc_namespace", TryNamespace<CLONE_NEWIPC>, true, kNamespaceRemedy},
    {"uts_namespace", TryNamespace<CLONE_NEWUTS>, true, kNamespaceRemedy},
    {"cgroup_namespace", TryNamespace<CLONE_NEWCGROUP>, true, kNamespaceRemedy},
    {"network_namespace", TryNamespace<CLONE_NEWNET>, true, kNamespaceRemedy},
    {"read_only_root", TryReadOnlyRoot, true, kMountRemedy},
    {"private_proc", TryPrivateProc, true, kMountRemedy},
    {"private_tmpfs", MountTmpfs, true, kMountRemedy},
    {"capabilities", TryCapabilities, false, kKernelRemedy},
    {"no_new_privs", TryNoNewPrivileges, false, kKernelRemedy},
    {"not_dumpable", TryNotDumpable, false, kKernelRemedy},
    {"landlock", TryLandlock, false, kLandlockRemedy},
    {"landlock_scope", TryLandlockScope, false, kScopeRemedy},
    {"seccomp", TrySeccomp, false, kKernelRemedy},
    {"rlimits", TryRlimits, false, kKernelRemedy},
};

// Some systems let anybody make a user namespace and then withhold its capabilities: making a mount
// is the test.
bool CanBeRootless() {
  return TryInChild([] {
           CLOISTER_RETURN_IF_ERROR(BecomeRootOfOwnUserNamespace());
           return MountTmpfs();
         })
      .ok();
}

Facilities::Setting FindSetting() {
  if (HasEffectiveCapability(CAP_SYS_ADMIN)) return Facilities::SETTING_ROOT;
  return CanBeRootless() ? Facilities::SETTING_ROOTLESS : Facilities::SETTING_CONTAINER;
}

absl::Status Try(const Layer& layer, Facilities::Setting setting) {
  return TryInChild([&] {
    if (layer.needs_privileges && setting != Facilities::SETTING_ROOT) {
      CLOISTER_RETURN_IF_ERROR(BecomeRootOfOwnUserNamespace());
    }
    return layer.trial();
  });
}

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

Facility ProbeTried(const Layer& layer, Facilities::Setting setting) {
  Facility facility;
  const absl::Status status = Try(layer, setting);
  facility.set_available(status.ok());
  if (!status.ok()) {
    const bool has_scratch =
        layer.name == "private_tmpfs" && setting == Facilities::SETTING_CONTAINER;
    facility.set_detail(absl::StrCat(has_scratch ? ToAbsl(kScratchInstead) : "", status.message(),
                                     ": ", ToAbsl(layer.remedy)));
  } else if (absl::StartsWith(ToAbsl(layer.name), "landlock")) {
    facility.set_detail(absl::StrCat("ABI ", LandlockAbi()));
  }
  return facility;
}

Facility ProbeCgroup(absl::string_view controller,
                     const absl::StatusOr<std::unique_ptr<CgroupManager>>& cgroups) {
  Facility facility;
  const absl::Status status = cgroups.ok()
                                  ? (*cgroups)->Available({controller.data(), controller.size()})
                                  : cgroups.status();
  facility.set_available(status.ok());
  facility.set_detail(status.ok() ? std::string((*cgroups)->version())
                                  : std::string(status.message()));
  return facility;
}

Facility ProbeLayer(std::string_view name, Facilities::Setting setting,
                    const absl::StatusOr<std::unique_ptr<CgroupManager>>& cgroups) {
  absl::string_view controller = ToAbsl(name);
  for (const Layer& layer : kTriedLayers) {
    if (layer.name == name) return ProbeTried(layer, setting);
  }
  absl::ConsumePrefix(&controller, "cgroup_");
  return ProbeCgroup(controller, cgroups);
}

// A zygote copies sandboxes as their shadows' tracer.
Facility ProbeLiveFork(Facilities::Setting setting) {
  Facility facility;
  facility.set_name("live_fork");
  if (setting == Facilities::SETTING_CONTAINER) {
    facility.set_detail(absl::StrCat("copies need namespaces of their own: ",
                                     ToAbsl(kNamespaceRemedy)));
    return facility;
  }
  const absl::Status status = TryInChild(BeTracedByParent);
  facility.set_available(status.ok());
  if (!status.ok()) {
    facility.set_detail(absl::StrCat(status.message(), ": allow ptrace to the server's descendants"));
  }
  return facility;
}

}  // namespace

Facilities ProbeFacilities(const absl::StatusOr<std::unique_ptr<CgroupManager>>& cgroups) {
  Facilities facilities;
  facilities.set_setting(FindSetting());
  for (const std::string_view name : kLayerNames) {
    Facility facility = ProbeLayer(name, facilities.setting(), cgroups);
    facility.set_name(std::string(name));
    *facilities.add_facilities() = std::move(facility);
  }
  *facilities.mutable_live_fork() = ProbeLiveFork(facilities.setting());
  return facilities;
}

absl::Span<const std::string_view> LayerNames() { return kLayerNames; }

std::vector<std::string> DefaultFloor(Facilities::Setting setting) {
  std::vector<std::string> floor;
  for (const std::string_view name : kLayerNames) {
    const bool of_cgroups = absl::StartsWith(ToAbsl(name), "cgroup_") && name != "cgroup_namespace";
    if (name == "landlock_scope") continue;
    if (of_cgroups && setting != Facilities::SETTING_ROOT) continue;
    floor.emplace_back(name);
  }
  return floor;
}

std::vector<std::string> MissingFromFloor(const Facilities& facilities,
                                          absl::Span<const std::string> required) {
  std::vector<std::string> missing;
  for (const std::string& name : required) {
    const auto& found = facilities.facilities();
    const auto facility = std::find_if(found.begin(), found.end(),
                                       [&](const Facility& one) { return one.name() == name; });
    if (facility == found.end()) {
      missing.push_back(absl::StrCat(name, ": there is no such layer"));
    } else if (!facility->available()) {
      missing.push_back(absl::StrCat(name, ": ", facility->detail()));
    }
  }
  return missing;
}

}  // namespace cloister::sandbox
