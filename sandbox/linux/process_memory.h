// What a process holds in memory, from /proc/PID/statm: readable for every process of the namespace.

#ifndef CLOISTER_SANDBOX_LINUX_PROCESS_MEMORY_H_
#define CLOISTER_SANDBOX_LINUX_PROCESS_MEMORY_H_

#include <sys/types.h>

#include <cstdint>

#include "absl/status/statusor.h"

namespace cloister::sandbox {

// Bytes of its anonymous memory that are in place: its own, and what it shares with those it was copied
// from or that were copied from it. Errors: the kernel's.
absl::StatusOr<int64_t> AnonymousMemoryBytes(pid_t pid);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_PROCESS_MEMORY_H_
