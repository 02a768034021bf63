#include "sandbox/spawner/privileges.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <array>
#include <cstddef>
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

}  // namespace

absl::Status KeepOnlyCapabilities(absl::Span<const int> kept) {
  std::array<uint32_t, _LINUX_CAPABILITY_U32S_3> needed = {};
  for (int capability : kept) needed[CAP_TO_INDEX(capability)] |= CAP_TO_MASK(capability);
  CLOISTER_ASSIGN_OR_RETURN(CapabilityWords words, ReadCapabilities());
  for (size_t i = 0; i < words.size(); ++i) {
    words[i].permitted &= needed[i];
    words[i].effective = words[i].permitted;
    words[i].inheritable = 0;
  }
  return WriteCapabilities(words);
}

absl::Status DropUnneededPrivileges() {
  CLOISTER_RETURN_IF_ERROR(KeepOnlyCapabilities(kNeeded));
  return SetNotDumpable();
}

absl::Status KeepCapabilitiesAcrossExec() {
  CLOISTER_ASSIGN_OR_RETURN(CapabilityWords words, ReadCapabilities());
  for (__user_cap_data_struct& word : words) word.inheritable = word.permitted;
  CLOISTER_RETURN_IF_ERROR(WriteCapabilities(words));
  for (int capability = 0; capability <= CAP_LAST_CAP; ++capability) {
    if ((words[CAP_TO_INDEX(capability)].permitted & CAP_TO_MASK(capability)) == 0) continue;
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
