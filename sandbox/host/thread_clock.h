// Processor time of single threads of another process, as the host's kernel tells it.
//
// Errors: what cannot be read counts as unchanged; the thread may be gone at any time.

#ifndef CLOISTER_SANDBOX_HOST_THREAD_CLOCK_H_
#define CLOISTER_SANDBOX_HOST_THREAD_CLOCK_H_

#include <sys/types.h>

#include <optional>

#include "absl/time/time.h"

namespace cloister::sandbox {

// How many threads FindThread looks at: each is a file to open, and how many there are the guest says.
inline constexpr int kMostThreadsLookedAt = 64;

// The thread of `process` that has the id `inner_id` in that process's own pid namespace; in ours. None
// where it is not among the youngest kMostThreadsLookedAt.
std::optional<pid_t> FindThread(pid_t process, pid_t inner_id);

// What that thread has used; `fallback` where it cannot be read.
absl::Duration ThreadCpuTime(pid_t process, pid_t thread, absl::Duration fallback);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_THREAD_CLOCK_H_
