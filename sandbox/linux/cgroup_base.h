// The directories one spawner makes its groups in: how they are named, locked, and cleared when an
// earlier spawner left its own behind.

#ifndef CLOISTER_SANDBOX_LINUX_CGROUP_BASE_H_
#define CLOISTER_SANDBOX_LINUX_CGROUP_BASE_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/linux/cgroup_tree.h"

namespace cloister::sandbox {

// `cloister-PID` in one hierarchy, locked (flock) as long as its maker lives: a lock tells more
// than a pid, which may be used again or belong to another pid namespace.
//
// Ownership: destroying it removes the directory and all in it.
class CgroupBase {
 public:
  // Makes it in `parent`, after removing every unlocked one there.
  static absl::StatusOr<std::unique_ptr<CgroupBase>> Make(std::shared_ptr<CgroupTree> tree,
                                                          const std::string& parent);
  ~CgroupBase();
  CgroupBase(const CgroupBase&) = delete;
  CgroupBase& operator=(const CgroupBase&) = delete;

  const std::string& path() const { return path_; }

 private:
  CgroupBase(std::shared_ptr<CgroupTree> tree, std::string path, UniqueFd lock)
      : tree_(std::move(tree)), path_(std::move(path)), lock_(std::move(lock)) {}

  std::shared_ptr<CgroupTree> tree_;
  std::string path_;
  UniqueFd lock_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_CGROUP_BASE_H_
