// cgroup v1: one hierarchy per controller, each with a directory of its own for every group.

#ifndef CLOISTER_SANDBOX_LINUX_CGROUP_V1_H_
#define CLOISTER_SANDBOX_LINUX_CGROUP_V1_H_

#include <memory>

#include "absl/status/statusor.h"
#include "sandbox/linux/cgroup.h"
#include "sandbox/linux/cgroup_tree.h"

namespace cloister::sandbox {

// Uses memory, pids, cpu and cpuacct as far as they are mounted and writable. Errors:
// FAILED_PRECONDITION where none of the first three is.
absl::StatusOr<std::unique_ptr<CgroupHierarchies>> MakeCgroupsV1(const CgroupSystem& system);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_CGROUP_V1_H_
