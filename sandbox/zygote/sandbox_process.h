// The first process of a sandbox, from the clone to its end.

#ifndef CLOISTER_SANDBOX_ZYGOTE_SANDBOX_PROCESS_H_
#define CLOISTER_SANDBOX_ZYGOTE_SANDBOX_PROCESS_H_

#include "sandbox/zygote/confine.h"
#include "sandbox/zygote/guest_runtime.h"
#include "sandbox/zygote/stage_clock.h"

namespace cloister::sandbox {

// The descriptor of the channel in a sandbox; 0 to 2 are /dev/null, stdout and stderr.
inline constexpr int kChannelDescriptor = 3;

// What a child brings along, all inherited from the zygote.
struct SandboxDescriptors {
  int channel = -1;
  int standard_output = -1;
  int standard_error = -1;
};

// Confines the process, prepares the runtime, says Ready on the channel and serves it. An error on
// the way is said as SetupFailed. Never returns and runs no destructors: they are the zygote's.
[[noreturn]] void RunSandboxProcess(const ConfinePlan& plan, const SandboxPlace& place,
                                    const SandboxDescriptors& descriptors, GuestRuntime& runtime,
                                    StageClock& clock);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_ZYGOTE_SANDBOX_PROCESS_H_
