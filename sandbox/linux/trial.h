// Trying something that cannot be undone, in a process that is thrown away.

#ifndef CLOISTER_SANDBOX_LINUX_TRIAL_H_
#define CLOISTER_SANDBOX_LINUX_TRIAL_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace cloister::sandbox {

// What `attempt` answers when it runs in a forked child that exits afterwards; INTERNAL, with the
// signal, if it dies before it has answered. The child runs no destructors of the caller's objects.
//
// Forks: call it while the process has one thread. Nesting is allowed.
absl::Status TryInChild(absl::FunctionRef<absl::Status()> attempt);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_TRIAL_H_
