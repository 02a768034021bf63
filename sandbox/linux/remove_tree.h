// Removing what a hostile program left behind: directories nobody may enter, or nested deeper than
// any stack, path or table of descriptors.

#ifndef CLOISTER_SANDBOX_LINUX_REMOVE_TREE_H_
#define CLOISTER_SANDBOX_LINUX_REMOVE_TREE_H_

#include <string>

#include "absl/status/status.h"

namespace cloister::sandbox {

// Removes everything below the directory `path`, which stays. Never follows a symbolic link below
// it. Needs two descriptors and no recursion, whatever the depth. The whole tree belongs to the
// caller's user and file system, and nobody else changes it meanwhile (else it may say so and can
// be called again). Errors: the kernel's; a directory that does not exist is empty.
absl::Status EmptyDirectory(const std::string& path);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_REMOVE_TREE_H_
