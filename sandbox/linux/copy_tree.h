// Copying a directory tree that somebody hostile made: never follows a symbolic link, opens nothing
// that is no regular file or directory, and copies no more than the target's file system holds.

#ifndef CLOISTER_SANDBOX_LINUX_COPY_TREE_H_
#define CLOISTER_SANDBOX_LINUX_COPY_TREE_H_

#include <sys/types.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cloister::sandbox {

// Who owns the copies.
struct TreeOwner {
  uid_t user = 0;
  gid_t group = 0;
};

// Copies what is in directory `from` into directory `to`: directories, files with their holes and hard
// links, symbolic links as text, fifos; modes and times. Sockets and device nodes are left out: they
// mean nothing without the process that made them. Needs to read, and own, any user's files.
//
// Errors: the kernel's, naming the path within the tree; RESOURCE_EXHAUSTED where it is deeper than a
// hundred directories.
absl::Status CopyTree(int from, int to, const TreeOwner& owner);

// Whether there is anything in it.
absl::StatusOr<bool> IsEmptyDirectory(int directory);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_COPY_TREE_H_
