#include "sandbox/linux/user_namespace.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <unistd.h>

#include <string_view>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {
namespace {

// The kernel takes these files in one write or not at all.
absl::Status WriteProcFile(const std::string& path, std::string_view text) {
  UniqueFd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return SyscallError(absl::StrCat("open ", path));
  if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return SyscallError(absl::StrCat("write ", path));
  }
  return absl::OkStatus();
}

}  // namespace

std::string FormatIdMap(const std::vector<IdRange>& ranges) {
  std::string text;
  for (const IdRange& range : ranges) {
    absl::StrAppend(&text, range.inside, " ", range.outside, " ", range.count, "\n");
  }
  return text;
}

absl::Status WriteIdMaps(pid_t pid, const IdMaps& maps) {
  const std::string directory = absl::StrCat("/proc/", pid);
  CLOISTER_RETURN_IF_ERROR(WriteProcFile(directory + "/uid_map", FormatIdMap(maps.users)));
  return WriteProcFile(directory + "/gid_map", FormatIdMap(maps.groups));
}

absl::Status BecomeRootOfOwnUserNamespace() {
  const IdRange user = {.inside = 0, .outside = geteuid()};
  const IdRange group = {.inside = 0, .outside = getegid()};
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
    return SyscallError("unshare a user namespace (does the machine allow unprivileged ones?)");
  }
  // Without this an unprivileged process may not write a group map: giving up a group could
  // otherwise gain access that a file denies to the group.
  CLOISTER_RETURN_IF_ERROR(WriteProcFile("/proc/self/setgroups", "deny"));
  CLOISTER_RETURN_IF_ERROR(WriteProcFile("/proc/self/uid_map", FormatIdMap({user})));
  return WriteProcFile("/proc/self/gid_map", FormatIdMap({group}));
}

absl::Status BecomeUser(uid_t user, gid_t group) {
  // EPERM: /proc/self/setgroups says deny here or in a parent namespace.
  if (setgroups(0, nullptr) != 0 && errno != EPERM) return SyscallError("setgroups");
  if (setresgid(group, group, group) != 0) return SyscallError(absl::StrCat("setresgid ", group));
  if (setresuid(user, user, user) != 0) return SyscallError(absl::StrCat("setresuid ", user));
  return absl::OkStatus();
}

}  // namespace cloister::sandbox
