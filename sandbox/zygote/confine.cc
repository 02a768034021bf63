#include "sandbox/zygote/confine.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/capabilities.h"
#include "sandbox/linux/close_fds.h"
#include "sandbox/linux/namespaces.h"
#include "sandbox/linux/rlimits.h"
#include "sandbox/linux/user_namespace.h"

namespace cloister::sandbox {
namespace {

constexpr const char* kSharedDevices[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
                                          "/dev/urandom"};

absl::StatusOr<UniqueFd> OpenPath(const char* path) {
  UniqueFd fd(open(path, O_PATH | O_CLOEXEC));
  if (!fd) return SyscallError(absl::StrCat("open ", path));
  return fd;
}

absl::Status UnblockSignals() {
  sigset_t none;
  sigemptyset(&none);
  return sigprocmask(SIG_SETMASK, &none, nullptr) == 0 ? absl::OkStatus()
                                                       : SyscallError("sigprocmask");
}

}  // namespace

absl::StatusOr<ConfinePlan> ConfinePlan::Make(const internal::v1::ZygoteConfig& config) {
  ConfinePlan plan(config);
  plan.zygote_ = getpid();
  if (config.seccomp()) {
    SeccompOptions options = {.allow_subprocesses = config.spec().allow_subprocesses(),
                              .has_namespaces = config.namespaces(),
                              .part = SeccompPart::kZygote};
    if (plan.filters_zygote()) {
      CLOISTER_ASSIGN_OR_RETURN(plan.zygote_filter_, BuildSeccompProgram(options));
    }
    options.part = plan.filters_zygote() ? SeccompPart::kRest : SeccompPart::kWhole;
    CLOISTER_ASSIGN_OR_RETURN(plan.sandbox_filter_, BuildSeccompProgram(options));
  }
  if (config.landlock()) {
    // These inodes are the same in every sandbox; /tmp and /workspace are not.
    CLOISTER_ASSIGN_OR_RETURN(UniqueFd root, OpenPath(config.spec().image_root().c_str()));
    plan.shared_paths_.emplace_back(std::move(root), LandlockAccess::kReadExecute);
    for (const char* device : kSharedDevices) {
      CLOISTER_ASSIGN_OR_RETURN(UniqueFd fd, OpenPath(device));
      plan.shared_paths_.emplace_back(std::move(fd), LandlockAccess::kDevice);
    }
  }
  return plan;
}

absl::Status ConfinePlan::ConfineZygote() const {
  // No program it executes can gain anything: Landlock and seccomp need this of an unprivileged
  // child.
  CLOISTER_RETURN_IF_ERROR(SetNoNewPrivileges());
  // Its capabilities stay, for setns and setresuid in children, but no exec can renew them.
  if (config_.namespaces()) {
    CLOISTER_RETURN_IF_ERROR(DropBoundingSet());
    CLOISTER_RETURN_IF_ERROR(LockSecurebits());
  }
  CLOISTER_RETURN_IF_ERROR(ApplyBaseRlimits());
  umask(022);
  return SetNotDumpable();
}

absl::Status ConfinePlan::FilterZygote() const {
  return filters_zygote() ? InstallSeccompProgram(zygote_filter_) : absl::OkStatus();
}

absl::Status ConfinePlan::ConfineSandbox(const SandboxPlace& place, StageClock& clock) const {
  // 1. While there is still the privilege: the sandbox's own mounts, ipc and host name. Its pid
  //    namespace it was born into; user, net and cgroup namespaces are the zygote's.
  clock.Begin("namespaces");
  if (config_.namespaces()) {
    CLOISTER_RETURN_IF_ERROR(
        JoinNamespaces(place.init_pidfd, CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS));
  }
  // 2. A process group of its own. The session is the nursery's, which has no terminal: making one
  // per
  //    sandbox costs a scheduler group each, more than all other steps but two together.
  clock.Begin("process_group");
  if (setpgid(0, 0) != 0) return SyscallError("setpgid");
  // 3. Who it is, while it may still choose.
  clock.Begin("ids");
  if (config_.namespaces() && !config_.unsafe_keep_capabilities()) {
    CLOISTER_RETURN_IF_ERROR(BecomeUser(place.user, static_cast<gid_t>(config_.sandbox_gid())));
  }
  // 4. None of the four sets holds anything, whatever its uid was.
  clock.Begin("capabilities");
  if (!config_.unsafe_keep_capabilities()) CLOISTER_RETURN_IF_ERROR(DropAllCapabilities());
  // 5. Nobody of its own uid may trace it. After the change of uid, which resets this.
  CLOISTER_RETURN_IF_ERROR(SetNotDumpable());
  if (!config_.namespaces()) CLOISTER_RETURN_IF_ERROR(DieWithZygote());
  clock.Begin("workspace");
  const std::string workspace = place.directory + "/workspace";
  if (chdir(workspace.c_str()) != 0) return SyscallError(absl::StrCat("chdir ", workspace));
  // 6. Files: the image to read, /tmp and /workspace to write. Before the descriptors of the
  // image's
  //    paths are closed.
  clock.Begin("landlock");
  if (config_.landlock()) {
    CLOISTER_RETURN_IF_ERROR(EnforceLandlock(workspace, place.directory + "/tmp"));
  }
  // 7. Of all the zygote's descriptors, four remain.
  clock.Begin("descriptors");
  CLOISTER_RETURN_IF_ERROR(CloseAllExcept({0, 1, 2, kLastKeptDescriptor}));
  CLOISTER_RETURN_IF_ERROR(UnblockSignals());
  // 8. Last, because much of the above is forbidden from here on: what the zygote's own filter,
  // which
  //    it inherited, had to leave open.
  clock.Begin("seccomp");
  if (config_.seccomp()) CLOISTER_RETURN_IF_ERROR(InstallSeccompProgram(sandbox_filter_));
  return absl::OkStatus();
}

// Where no init does it: a change of credentials would undo it, so it comes after.
absl::Status ConfinePlan::DieWithZygote() const {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return SyscallError("PR_SET_PDEATHSIG");
  return getppid() == zygote_ ? absl::OkStatus() : absl::AbortedError("the zygote is gone");
}

absl::Status ConfinePlan::EnforceLandlock(const std::string& workspace,
                                          const std::string& tmp) const {
  CLOISTER_ASSIGN_OR_RETURN(const UniqueFd workspace_fd, OpenPath(workspace.c_str()));
  CLOISTER_ASSIGN_OR_RETURN(const UniqueFd tmp_fd, OpenPath(tmp.c_str()));
  CLOISTER_ASSIGN_OR_RETURN(LandlockPolicy policy,
                            MakeLandlockPolicy(workspace_fd.get(), tmp_fd.get()));
  return std::move(policy).Enforce();
}

absl::StatusOr<LandlockPolicy> ConfinePlan::MakeLandlockPolicy(int workspace, int tmp) const {
  CLOISTER_ASSIGN_OR_RETURN(LandlockPolicy policy, LandlockPolicy::Create());
  for (const auto& [fd, access] : shared_paths_) {
    CLOISTER_RETURN_IF_ERROR(policy.Allow(fd.get(), access));
  }
  CLOISTER_RETURN_IF_ERROR(policy.Allow(tmp, LandlockAccess::kReadWrite));
  CLOISTER_RETURN_IF_ERROR(policy.Allow(workspace, LandlockAccess::kReadWrite));
  return policy;
}

}  // namespace cloister::sandbox
