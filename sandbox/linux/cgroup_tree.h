// The few operations on a cgroup file system, and where it is. A test gives a tree of its own whose
// directories fill themselves as the kernel's do.

#ifndef CLOISTER_SANDBOX_LINUX_CGROUP_TREE_H_
#define CLOISTER_SANDBOX_LINUX_CGROUP_TREE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// Makes and removes groups. The kernel fills a new directory and removes one with its files in it.
class CgroupTree {
 public:
  virtual ~CgroupTree() = default;
  virtual absl::Status MakeDirectory(const std::string& path);
  virtual absl::Status RemoveDirectory(const std::string& path);
};

// What a manager needs to know of the system it runs on.
struct CgroupSystem {
  std::string mountinfo;    // text of /proc/self/mountinfo
  std::string own_cgroups;  // text of /proc/self/cgroup
  std::shared_ptr<CgroupTree> tree;

  // The running one.
  static absl::StatusOr<CgroupSystem> Running();
};

// Reads a whole small file.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path);

// Writes a value to a control file in one write(2); the error names file and value.
absl::Status WriteControl(const std::string& path, std::string_view value);

// A control file of one group. Those used for every sandbox are kept open, which makes a use cost a
// tenth; the others are opened when used, so that thousands of groups do not hold a dozen
// descriptors each.
//
// Errors: the kernel's, with the path; UNIMPLEMENTED for a file that is not there.
class ControlFile {
 public:
  // One that is not there.
  ControlFile() = default;

  // Opens `path` with `flags` (O_RDONLY, O_WRONLY, O_RDWR) for as long as the object lives.
  static absl::StatusOr<ControlFile> Open(const std::string& path, int flags);
  // The same, but a missing file is no error.
  static absl::StatusOr<ControlFile> OpenIfPresent(const std::string& path, int flags);
  // Opens it for each use. May be missing.
  static ControlFile OpenedOnUse(const std::string& path);

  bool is_present() const { return present_; }
  absl::StatusOr<std::string> Read() const;
  absl::StatusOr<int64_t> ReadCounter() const;
  absl::Status Write(std::string_view value) const;
  absl::Status Write(int64_t value) const;
  // Another descriptor of a file that is kept open.
  absl::StatusOr<UniqueFd> Duplicate() const;
  // A descriptor of its own, for reading, of a file that is opened for each use.
  absl::StatusOr<UniqueFd> OpenToRead() const;

  // Closes it until its next use, which keeps it open again.
  void Rest() { fd_.reset(); }

 private:
  ControlFile(std::string path, bool present, UniqueFd fd, std::optional<int> kept_flags)
      : path_(std::move(path)), present_(present), kept_flags_(kept_flags), fd_(std::move(fd)) {}

  // Present, and open again where it is kept so.
  absl::Status Prepare() const;

  std::string path_;
  bool present_ = false;
  std::optional<int> kept_flags_;  // none: opened for each use
  mutable UniqueFd fd_;
};

// Sends SIGKILL to every process the group's cgroup.procs lists, until a pass finds none that was
// not told already. Never hits a process that only inherited a member's pid.
absl::Status KillMembers(const std::string& directory);

// The groups directly below a directory, as full paths, sorted.
std::vector<std::string> SubGroups(const std::string& directory);

// Kills what lives in a group and all below it, and removes the directories, trying again for up to
// `patience` while the dying go. A directory that is gone already is no error.
absl::Status RemoveGroupTree(CgroupTree& tree, const std::string& directory,
                             absl::Duration patience);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_CGROUP_TREE_H_
