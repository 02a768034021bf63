// Removes a spawner's cgroups when the spawner cannot: killed, it runs no destructors, and whoever
// started it has no rights there.

#ifndef CLOISTER_SANDBOX_LINUX_CGROUP_JANITOR_H_
#define CLOISTER_SANDBOX_LINUX_CGROUP_JANITOR_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// A small process that waits for the end of its maker, then removes the maker's groups and ends. It
// ignores what a terminal sends, has a session of its own, and holds no descriptors but the one it
// waits on.
//
// Ownership: the janitor lives as long as the object, and every copy of its descriptor; a fork that
// outlives the maker must not hold one (it is close-on-exec). Destroying the object ends the
// janitor and reaps it; destroy it after the CgroupManager.
class CgroupJanitor {
 public:
  // `paths` is CgroupManager::Paths(). Forks: call it while the process has one thread.
  static absl::StatusOr<CgroupJanitor> Start(const std::vector<std::string>& paths);

  CgroupJanitor(CgroupJanitor&&) = default;
  CgroupJanitor& operator=(CgroupJanitor&&) = delete;
  ~CgroupJanitor();

 private:
  CgroupJanitor(UniqueFd life_line, UniqueFd pidfd)
      : life_line_(std::move(life_line)), pidfd_(std::move(pidfd)) {}

  UniqueFd life_line_;
  UniqueFd pidfd_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_CGROUP_JANITOR_H_
