// Landlock: which files a sandbox may touch, enforced by the kernel for the process and all it
// makes, and never to be taken back. From ABI 4 it also refuses TCP, from ABI 6 it keeps signals
// and abstract sockets inside the domain.
//
// Usage, in the process to be confined (no_new_privs is set already):
//   CLOISTER_ASSIGN_OR_RETURN(LandlockPolicy policy, LandlockPolicy::Create());
//   CLOISTER_RETURN_IF_ERROR(policy.Allow("/", LandlockAccess::kReadExecute));
//   CLOISTER_RETURN_IF_ERROR(policy.Allow("/tmp", LandlockAccess::kReadWrite));
//   CLOISTER_RETURN_IF_ERROR(std::move(policy).Enforce());

#ifndef CLOISTER_SANDBOX_LINUX_LANDLOCK_H_
#define CLOISTER_SANDBOX_LINUX_LANDLOCK_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// The running kernel's Landlock ABI; 0 where there is none or it is switched off.
int LandlockAbi();

// The first ABI that scopes signals and abstract unix sockets (Linux 6.12).
inline constexpr int kLandlockScopeAbi = 6;

// Classes of access below a path. What a class does not list is refused there.
enum class LandlockAccess {
  kReadExecute,  // read and execute files, list directories
  kReadWrite,    // read, write, make and remove all but device nodes; nothing is executable
  kDevice,       // read, write and ioctl one device node
};

// A policy that refuses everything the running kernel can refuse, but for what was allowed.
//
// Thread-safety: none. Ownership: holds one descriptor.
class LandlockPolicy {
 public:
  // Errors: UNIMPLEMENTED where the kernel has no Landlock.
  static absl::StatusOr<LandlockPolicy> Create();

  // Allows a class of access to `path` (no symbolic link followed in its last part) or to what `fd`
  // (an O_PATH descriptor is enough) names, and all below it.
  absl::Status Allow(const std::string& path, LandlockAccess access);
  absl::Status Allow(int fd, LandlockAccess access);

  // Confines the calling thread. Needs no_new_privs (or CAP_SYS_ADMIN).
  absl::Status Enforce() &&;

  int abi() const { return abi_; }
  // The ruleset, for another process to enforce on itself.
  int fd() const { return ruleset_.get(); }

 private:
  LandlockPolicy(int abi, UniqueFd ruleset) : abi_(abi), ruleset_(std::move(ruleset)) {}

  int abi_;
  UniqueFd ruleset_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_LANDLOCK_H_
