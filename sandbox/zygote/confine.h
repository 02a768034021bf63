// What stands between a sandbox and the machine, as the sandbox puts it on itself: an ordered list.

#ifndef CLOISTER_SANDBOX_ZYGOTE_CONFINE_H_
#define CLOISTER_SANDBOX_ZYGOTE_CONFINE_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/linux/landlock.h"
#include "sandbox/linux/seccomp_filter.h"
#include "sandbox/linux/traced_process.h"
#include "sandbox/zygote/stage_clock.h"

namespace cloister::sandbox {

// What is private to one sandbox from before its clone.
struct SandboxPlace {
  int init_pidfd = -1;  // -1 without namespaces
  uid_t user = 0;       // whom it becomes; of no meaning without namespaces
  // Has the directories /workspace and /tmp. "": the root of its mount namespace.
  std::string directory;
};

// What a copy of a sandbox finds when it is confined: see CopyConfinement in confine_copy.cc.
struct CopyPlace {
  // In the copy: its init's pidfd, and the ruleset of MakeLandlockPolicy. Both are closed.
  int init_pidfd = -1;
  int landlock_ruleset = -1;
  uid_t user = 0;
  // Memory of `kScratchBytes` that no other process has.
  uint64_t scratch = 0;
};

// Everything about confinement that is the same for every sandbox of a zygote, made once.
//
// Thread-safety: none. Ownership: holds the descriptors of the paths that all sandboxes may use.
class ConfinePlan {
 public:
  // Builds the plan. In the zygote, before the runtime starts.
  static absl::StatusOr<ConfinePlan> Make(const internal::v1::ZygoteConfig& config);

  // Confines the zygote itself as far as it can be and still clone: what is irrevocable and
  // inherited need not be done again in each child.
  absl::Status ConfineZygote() const;

  // Once the runtime has warmed up: most of the system call filter, for every child to inherit.
  // Installing all of it in each costs five times as much as installing the rest.
  absl::Status FilterZygote() const;

  // Confines the calling child to its `place` for good, and closes every descriptor above
  // `kLastKeptDescriptor`. On an error the child must exit: `clock` names the step.
  absl::Status ConfineSandbox(const SandboxPlace& place, StageClock& clock) const;

  // The same for a stopped copy of a sandbox, from outside: what its memory holds is hostile already.
  // It has the zygote's privileges and filter, as a clone of the zygote would, and its own standard
  // descriptors and channel.
  absl::Status ConfineCopy(const TracedProcess& copy, const CopyPlace& place,
                           StageClock& clock) const;

  // What a sandbox may do to files, with its own two directories.
  absl::StatusOr<LandlockPolicy> MakeLandlockPolicy(int workspace, int tmp) const;

  // 0 to 2 and the channel.
  static constexpr int kLastKeptDescriptor = 3;

 private:
  explicit ConfinePlan(const internal::v1::ZygoteConfig& config) : config_(config) {}

  // A container's own filter may refuse clone3, and the zygote's would refuse clone: then each
  // child installs all of the filter.
  bool filters_zygote() const { return config_.seccomp() && config_.namespaces(); }
  absl::Status DieWithZygote() const;
  absl::Status EnforceLandlock(const std::string& workspace, const std::string& tmp) const;
  absl::Status TakeCopyPrivileges(const TracedProcess& copy, const CopyPlace& place,
                                  const TracedProcess::Memory& written, StageClock& clock) const;
  std::string CopyScratch(uint64_t address) const;

  internal::v1::ZygoteConfig config_;
  SeccompProgram zygote_filter_;
  SeccompProgram sandbox_filter_;
  pid_t zygote_ = 0;
  std::vector<std::pair<UniqueFd, LandlockAccess>> shared_paths_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_ZYGOTE_CONFINE_H_
