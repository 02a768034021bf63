#include "sandbox/spawner/privileges.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/capabilities.h"

namespace cloister::sandbox {
namespace {

constexpr int kNeeded[] = {
    CAP_SYS_ADMIN,     // namespaces, mounts, resizing a sandbox's tmpfs
    CAP_KILL,          // signals to sandboxes, which have other uids
    CAP_SETUID,        // uid_map of a new user namespace
    CAP_SETGID,        // gid_map
    CAP_SETFCAP,       // uid_map that covers our own root (rootless)
    CAP_DAC_OVERRIDE,  // cgroup directories, which not even root may always write
    CAP_MKNOD,         // the nodes of /dev
    CAP_SYS_PTRACE,    // /proc/PID/root of an init that is not dumpable
    CAP_SETPCAP,       // dropping the bounding set
};

// The sets are two words of 32.
struct CapabilityWords {
  uint32_t words[_LINUX_CAPABILITY_U32S_3] = {};
  void Add(int capability) { words[CAP_TO_INDEX(capability)] |= CAP_TO_MASK(capability); }
};

struct CapabilitySets {
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
};

absl::StatusOr<CapabilitySets> GetCapabilities() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  CapabilitySets sets;
  if (syscall(SYS_capget, &header, sets.data) != 0) return SyscallError("capget");
  return sets;
}

absl::Status SetCapabilities(const CapabilitySets& sets) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  return syscall(SYS_capset, &header, sets.data) == 0 ? absl::OkStatus() : SyscallError("capset");
}

}  // namespace

absl::Status KeepOnlyCapabilities(absl::Span<const int> kept) {
  CapabilityWords needed;
  for (int capability : kept) needed.Add(capability);
  CLOISTER_ASSIGN_OR_RETURN(CapabilitySets sets, GetCapabilities());
  for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; ++i) {
    sets.data[i].permitted &= needed.words[i];
    sets.data[i].effective = sets.data[i].permitted;
    sets.data[i].inheritable = 0;
  }
  return SetCapabilities(sets);
}

absl::Status DropUnneededPrivileges() {
  CLOISTER_RETURN_IF_ERROR(KeepOnlyCapabilities(kNeeded));
  return SetNotDumpable();
}

absl::Status KeepCapabilitiesAcrossExec() {
  CLOISTER_ASSIGN_OR_RETURN(CapabilitySets sets, GetCapabilities());
  for (__user_cap_data_struct& data : sets.data) data.inheritable = data.permitted;
  CLOISTER_RETURN_IF_ERROR(SetCapabilities(sets));
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability) {
    if ((sets.data[CAP_TO_INDEX(capability)].permitted & CAP_TO_MASK(capability)) == 0) continue;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0) {
      return SyscallError("raise an ambient capability");
    }
  }
  return absl::OkStatus();
}

void RaiseLimits() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
  // A user namespace is bounded as a whole by what its maker had; each sandbox has a bound of its
  // own.
  const rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
  (void)setrlimit(RLIMIT_SIGPENDING, &unlimited);
}

}  // namespace cloister::sandbox
