// How a sandbox talks to the host: its channel, and the pipes of stdout and stderr.

#ifndef CLOISTER_SANDBOX_ZYGOTE_SANDBOX_PIPES_H_
#define CLOISTER_SANDBOX_ZYGOTE_SANDBOX_PIPES_H_

#include "absl/status/statusor.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/zygote/sandbox_process.h"

namespace cloister::sandbox {

// The host's ends of one sandbox's descriptors, and the sandbox's. All close-on-exec.
struct SandboxPipes {
  static absl::StatusOr<SandboxPipes> Make();

  SandboxDescriptors ForSandbox() const {
    return {.channel = channel.get(),
            .standard_output = output.get(),
            .standard_error = error.get()};
  }

  UniqueFd host_channel, host_output, host_error;
  UniqueFd channel, output, error;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_ZYGOTE_SANDBOX_PIPES_H_
