// Giving up privileges for good: capabilities, the ways back to them, and being traced.
//
// Everything here acts on the calling thread, so call it while the process has only one. Each call
// is a few system calls without allocation on success. Errors: the kernel's, naming the call.

#ifndef CLOISTER_SANDBOX_LINUX_CAPABILITIES_H_
#define CLOISTER_SANDBOX_LINUX_CAPABILITIES_H_

#include <linux/capability.h>

#include <array>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cloister::sandbox {

// From here on no execve(2) grants anything: set-user-id bits and file capabilities are ignored.
absl::Status SetNoNewPrivileges();

// No core dump, no ptrace by equals, and /proc/self belongs to root. An execve(2) or a change of
// uid undoes it, so it comes after both.
absl::Status SetNotDumpable();

// Removes every capability from the bounding set, so that none can come back by execve(2). Needs
// CAP_SETPCAP unless the set is empty already.
absl::Status DropBoundingSet();

// Makes uid 0 an ordinary uid and locks that. Needs CAP_SETPCAP unless it is so already.
absl::Status LockSecurebits();

// The effective, permitted and inheritable sets: 64 bits wide, as two words; no kernel knows more
// capabilities than that.
using CapabilityWords = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;
absl::StatusOr<CapabilityWords> ReadCapabilities();
absl::Status WriteCapabilities(const CapabilityWords& words);

// Empties the effective, permitted, inheritable and ambient sets.
absl::Status DropAllCapabilities();

// Whether any of those four sets holds anything.
absl::StatusOr<bool> HasAnyCapability();

// Whether DropBoundingSet has nothing left to do.
bool IsBoundingSetEmpty();

// Whether the effective set holds `capability` (a CAP_ constant).
bool HasEffectiveCapability(int capability);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_CAPABILITIES_H_
