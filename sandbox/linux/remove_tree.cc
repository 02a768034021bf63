#include "sandbox/linux/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {
namespace {

using Directory = std::unique_ptr<DIR, decltype(&closedir)>;

absl::StatusOr<Directory> OpenDirectory(int parent, const char* name) {
  UniqueFd fd(openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return SyscallError(absl::StrCat("open ", name));
  Directory directory(fdopendir(fd.get()), &closedir);
  if (directory == nullptr) return SyscallError(absl::StrCat("list ", name));
  (void)fd.release();
  return directory;
}

// Files, links and empty directories.
bool Unlink(int parent, const char* name) {
  return unlinkat(parent, name, 0) == 0 || unlinkat(parent, name, AT_REMOVEDIR) == 0;
}

// Answers how many entries there were.
absl::StatusOr<int64_t> ForEachEntry(DIR* directory,
                                     absl::FunctionRef<absl::Status(const char* name)> visit) {
  int64_t count = 0;
  rewinddir(directory);
  while (const dirent* entry = readdir(directory)) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    ++count;
    CLOISTER_RETURN_IF_ERROR(visit(entry->d_name));
  }
  return count;
}

// A name that no sandbox's directory has; the move itself tells whether an earlier one is left.
std::string NextName() {
  static uint64_t counter = 0;
  return absl::StrCat("~", ++counter);
}

absl::Status MoveUp(int from, const char* name, int top) {
  // Without it a directory that may not be written cannot be moved, nor opened afterwards.
  if (fchmodat(from, name, S_IRWXU, 0) != 0) return SyscallError(absl::StrCat("chmod ", name));
  for (;;) {
    if (renameat(from, name, top, NextName().c_str()) == 0) return absl::OkStatus();
    if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR) {
      return SyscallError(absl::StrCat("move ", name));
    }
  }
}

// Removes a directory of `top` whose own directories become `top`'s.
absl::Status TurnInsideOut(int top, const char* name) {
  if (fchmodat(top, name, S_IRWXU, 0) != 0) return SyscallError(absl::StrCat("chmod ", name));
  CLOISTER_ASSIGN_OR_RETURN(const Directory directory, OpenDirectory(top, name));
  const int fd = dirfd(directory.get());
  CLOISTER_RETURN_IF_ERROR(ForEachEntry(directory.get(), [&](const char* entry) {
                             return Unlink(fd, entry) ? absl::OkStatus() : MoveUp(fd, entry, top);
                           }).status());
  // Where a directory changed while it was read, the next round sees the rest.
  return Unlink(top, name) || errno == ENOTEMPTY ? absl::OkStatus()
                                                 : SyscallError(absl::StrCat("remove ", name));
}

}  // namespace

absl::Status EmptyDirectory(const std::string& path) {
  absl::StatusOr<Directory> top = OpenDirectory(AT_FDCWD, path.c_str());
  if (absl::IsNotFound(top.status())) return absl::OkStatus();
  CLOISTER_RETURN_IF_ERROR(top.status());
  const int fd = dirfd(top->get());
  int64_t count = 1;
  while (count > 0) {
    CLOISTER_ASSIGN_OR_RETURN(count, ForEachEntry(top->get(), [&](const char* entry) {
                                return Unlink(fd, entry) ? absl::OkStatus()
                                                         : TurnInsideOut(fd, entry);
                              }));
  }
  return absl::OkStatus();
}

}  // namespace cloister::sandbox
