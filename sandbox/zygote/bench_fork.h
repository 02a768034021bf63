// The floor under the price of a sandbox: what forking this runtime costs by itself.

#ifndef CLOISTER_SANDBOX_ZYGOTE_BENCH_FORK_H_
#define CLOISTER_SANDBOX_ZYGOTE_BENCH_FORK_H_

#include "absl/status/status.h"
#include "sandbox/zygote/guest_runtime.h"

namespace cloister::sandbox {

// Reads a ZygoteConfig from `control`, warms the runtime up as a zygote does, answers ZygoteReady
// and waits for any second packet, the starting shot. Then `count` times, one after another: the
// runtime's hooks around a plain clone; in the child AfterForkInChild, Prepare and exit; in the
// parent the wait. No namespaces, no confinement, no cgroup, no messages. Answers one
// BenchForkResult.
absl::Status BenchFork(GuestRuntime& runtime, int control, int count);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_ZYGOTE_BENCH_FORK_H_
