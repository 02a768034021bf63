// Removes the spawner's cgroups if the spawner is killed and cannot: cloisterd has not the
// privilege, and the kernel keeps empty groups for ever.

#ifndef CLOISTER_SANDBOX_SPAWNER_CGROUP_KEEPER_H_
#define CLOISTER_SANDBOX_SPAWNER_CGROUP_KEEPER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// Clones a process that sleeps, with almost no capabilities, until no process holds the returned
// descriptor (close-on-exec) any more; it then removes `paths` and ends. Where they are gone
// already it just ends.
absl::StatusOr<UniqueFd> StartCgroupKeeper(const std::vector<std::string>& paths);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_SPAWNER_CGROUP_KEEPER_H_
