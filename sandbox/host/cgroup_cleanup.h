// Removes the cgroups of a spawner that died before it could do so itself.

#ifndef CLOISTER_SANDBOX_HOST_CGROUP_CLEANUP_H_
#define CLOISTER_SANDBOX_HOST_CGROUP_CLEANUP_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace cloister::sandbox {

// Removes these cgroup directories and those below them, trying again for at most `timeout` while
// their processes are still ending. What is not there is no error. Errors: as rmdir(2), naming a
// directory that is left and what to do about it. Waits: not for the loop's thread while it serves
// anybody.
absl::Status RemoveCgroupTrees(const std::vector<std::string>& paths, absl::Duration timeout);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_CGROUP_CLEANUP_H_
