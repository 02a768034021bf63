// Joining and naming namespaces. New ones are made by CloneProcess.

#ifndef CLOISTER_SANDBOX_LINUX_NAMESPACES_H_
#define CLOISTER_SANDBOX_LINUX_NAMESPACES_H_

#include <string_view>

#include "absl/status/status.h"

namespace cloister::sandbox {

// Moves the caller into the namespaces of the pidfd's process that `flags` (CLONE_NEW*) name. With
// CLONE_NEWPID it is the caller's next child that is born there, not the caller.
absl::Status JoinNamespaces(int pidfd, int flags);

// Names the caller's UTS namespace.
absl::Status SetHostname(std::string_view name);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_NAMESPACES_H_
