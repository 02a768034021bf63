// Process 1 of a sandbox: owns its namespaces and mounts, reaps what is orphaned in it, does
// nothing else. Killing it ends everything in the sandbox.

#ifndef CLOISTER_SANDBOX_ZYGOTE_SANDBOX_INIT_H_
#define CLOISTER_SANDBOX_ZYGOTE_SANDBOX_INIT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/linux/mount_tree.h"

namespace cloister::sandbox {

struct SandboxInit {
  int32_t pid = 0;
  UniqueFd pidfd;
};

// Makes a process in a sandbox's new namespaces and returns when its mounts are made and its
// privileges gone. It shares the caller's memory: copying even a small address space costs more
// than all the rest. The caller has one thread, ignores SIGCHLD (with that the init does) and is
// not dumpable.
absl::StatusOr<SandboxInit> MakeSandboxInit(const SandboxMounts& mounts);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_ZYGOTE_SANDBOX_INIT_H_
