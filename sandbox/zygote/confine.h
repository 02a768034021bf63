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
#include "sandbox/zygote/stage_clock.h"

namespace cloister::sandbox {

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

  // Confines the calling child, whose init `init_pidfd` is (-1 without namespaces), for good, and
  // closes every descriptor above `kLastKeptDescriptor`. On an error the child must exit: `clock`
  // names the step.
  absl::Status ConfineSandbox(int init_pidfd, StageClock& clock) const;

  // 0 to 2 and the channel.
  static constexpr int kLastKeptDescriptor = 3;

 private:
  explicit ConfinePlan(const internal::v1::ZygoteConfig& config) : config_(config) {}

  absl::Status EnforceLandlock() const;

  internal::v1::ZygoteConfig config_;
  SeccompProgram zygote_filter_;
  SeccompProgram sandbox_filter_;
  std::string tmp_;
  std::string workspace_;
  std::vector<std::pair<UniqueFd, LandlockAccess>> shared_paths_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_ZYGOTE_CONFINE_H_
