// Finds what lies at a path below a directory that somebody hostile writes to at the same time: no
// symbolic link is ever followed, nothing outside is ever reached, and nothing blocks.
//
// Errors of all functions are errno values; 0 is success. ELOOP: a symbolic link is in the way.
//
// Thread-safety: safe.

#ifndef CLOISTER_SANDBOX_FILES_OPEN_BENEATH_H_
#define CLOISTER_SANDBOX_FILES_OPEN_BENEATH_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <string>
#include <string_view>

#include "cloister/internal/v1/file_access.pb.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// How what a path names is opened, beside O_CLOEXEC. `path` is relative to `root` and not empty.
int OpenBeneath(int root, const std::string& path, int flags, UniqueFd* opened);

// The directory at `path`, to be read; the root itself where it is empty.
int OpenDirectoryBeneath(int root, const std::string& path, UniqueFd* opened);

// Where a path ends: its last part, and the directory that has it.
struct Place {
  UniqueFd directory;  // O_PATH
  std::string name;
};

// EINVAL for an empty path, which has no last part. With `make_parents`, directories that are
// missing on the way are made; they stay, whatever comes afterwards.
int FindPlace(int root, const std::string& path, bool make_parents, Place* place);

// Fills `info` in, but for its path. For the root `place.name` is empty.
int Look(const Place& place, internal::v1::PathInfo* info);
void Describe(const struct stat& status, internal::v1::PathInfo* info);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_FILES_OPEN_BENEATH_H_
