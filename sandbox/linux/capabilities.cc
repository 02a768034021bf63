#include "sandbox/linux/capabilities.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sandbox/base/syscall_status.h"

namespace cloister::sandbox {
namespace {

// The keep-caps bit is left alone: it is a matter of one change of uid, not of policy.
constexpr unsigned long kLockedSecurebits =
    SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
    SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;

__user_cap_header_struct OwnHeader() { return {_LINUX_CAPABILITY_VERSION_3, 0}; }

// Whether the kernel knows it and it is in the bounding set.
bool InBoundingSet(int capability) { return ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1; }

}  // namespace

absl::StatusOr<CapabilityWords> ReadCapabilities() {
  __user_cap_header_struct header = OwnHeader();
  CapabilityWords words = {};
  if (::syscall(SYS_capget, &header, words.data()) < 0) return SyscallError("capget");
  return words;
}

absl::Status WriteCapabilities(const CapabilityWords& words) {
  __user_cap_header_struct header = OwnHeader();
  if (::syscall(SYS_capset, &header, words.data()) < 0) return SyscallError("capset");
  return absl::OkStatus();
}

absl::Status SetNoNewPrivileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
    return SyscallError("prctl PR_SET_NO_NEW_PRIVS");
  return absl::OkStatus();
}

absl::Status SetNotDumpable() {
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) return SyscallError("prctl PR_SET_DUMPABLE");
  return absl::OkStatus();
}

absl::Status DropBoundingSet() {
  for (int capability = 0; capability < 64; ++capability) {
    if (!InBoundingSet(capability)) continue;
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) {
      return SyscallError("prctl PR_CAPBSET_DROP (needs CAP_SETPCAP)");
    }
  }
  return absl::OkStatus();
}

absl::Status LockSecurebits() {
  const int now = ::prctl(PR_GET_SECUREBITS, 0, 0, 0, 0);
  if (now < 0) return SyscallError("prctl PR_GET_SECUREBITS");
  const unsigned long wanted = static_cast<unsigned long>(now) | kLockedSecurebits;
  if (wanted == static_cast<unsigned long>(now)) return absl::OkStatus();
  if (::prctl(PR_SET_SECUREBITS, wanted, 0, 0, 0) < 0) {
    return SyscallError("prctl PR_SET_SECUREBITS (needs CAP_SETPCAP)");
  }
  return absl::OkStatus();
}

absl::Status DropAllCapabilities() {
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) {
    return SyscallError("prctl PR_CAP_AMBIENT_CLEAR_ALL");
  }
  return WriteCapabilities({});
}

absl::StatusOr<bool> HasAnyCapability() {
  // The ambient set is a subset of the permitted one.
  const absl::StatusOr<CapabilityWords> words = ReadCapabilities();
  if (!words.ok()) return words.status();
  for (const __user_cap_data_struct& word : *words) {
    if ((word.effective | word.permitted | word.inheritable) != 0) return true;
  }
  return false;
}

bool IsBoundingSetEmpty() {
  for (int capability = 0; capability < 64; ++capability) {
    if (InBoundingSet(capability)) return false;
  }
  return true;
}

bool HasEffectiveCapability(int capability) {
  const absl::StatusOr<CapabilityWords> words = ReadCapabilities();
  if (!words.ok() || capability < 0 || capability >= 64) return false;
  return ((*words)[capability / 32].effective >> (capability % 32) & 1) != 0;
}

}  // namespace cloister::sandbox
