#include "sandbox/host/cgroup_cleanup.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "sandbox/base/syscall_status.h"

namespace cloister::sandbox {
namespace {

constexpr absl::Duration kRetryPeriod = absl::Milliseconds(10);

// Deepest first; the first error, after everything was tried.
absl::Status RemoveTree(const std::string& path) {
  absl::Status status;
  std::error_code error;
  std::vector<std::string> children;
  for (std::filesystem::directory_iterator child(path, error), end; !error && child != end;
       child.increment(error)) {
    if (child->is_directory(error) && !child->is_symlink(error)) {
      children.push_back(child->path().string());
    }
  }
  for (const std::string& child : children) status.Update(RemoveTree(child));
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) {
    status.Update(
        SyscallError(absl::StrCat("remove the cgroup ", path, " (by hand: rmdir, deepest first)")));
  }
  return status;
}

}  // namespace

absl::Status RemoveCgroupTrees(const std::vector<std::string>& paths, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    absl::Status status;
    for (const std::string& path : paths) status.Update(RemoveTree(path));
    if (status.ok() || absl::Now() >= deadline) return status;
    absl::SleepFor(kRetryPeriod);
  }
}

}  // namespace cloister::sandbox
