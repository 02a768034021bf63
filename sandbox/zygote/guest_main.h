// The main function of every guest binary, once it has a language runtime.
//
// The spawner executes the binary as pid 1 of a fresh pid namespace, inside the image's file
// system, with its control socket at kZygoteControlDescriptor. GuestMain splits that process in two
// before the runtime starts: pid 1 stays a nursery of a few pages, its child becomes the zygote. In
// an ordinary container, without namespaces, the process becomes the zygote itself.

#ifndef CLOISTER_SANDBOX_ZYGOTE_GUEST_MAIN_H_
#define CLOISTER_SANDBOX_ZYGOTE_GUEST_MAIN_H_

#include "sandbox/zygote/guest_runtime.h"

namespace cloister::sandbox {

// Runs the nursery, the zygote and, in clones, sandboxes. The process ends with the returned
// status. Must be called first thing in main, on the only thread. `runtime` is touched in the
// zygote and its clones only.
//
// Arguments: none, or --bench_fork=N to measure N bare forks of the warmed zygote (bench_fork.h).
int GuestMain(int argc, char** argv, GuestRuntime& runtime);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_ZYGOTE_GUEST_MAIN_H_
