// cgroup v2: one unified hierarchy. Processes may only live in its leaves, so before controllers
// can be given to the groups of sandboxes, everything in the spawner's own group moves to a leaf
// beside them, `cloister.host`; later starts find themselves there and use its parent.

#ifndef CLOISTER_SANDBOX_LINUX_CGROUP_V2_H_
#define CLOISTER_SANDBOX_LINUX_CGROUP_V2_H_

#include <memory>

#include "absl/status/statusor.h"
#include "sandbox/linux/cgroup.h"
#include "sandbox/linux/cgroup_tree.h"

namespace cloister::sandbox {

// Needs a group of its own that was delegated to it. Errors: FAILED_PRECONDITION where none of
// memory, pids and cpu can be had.
absl::StatusOr<std::unique_ptr<CgroupHierarchies>> MakeCgroupsV2(const CgroupSystem& system);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_CGROUP_V2_H_
