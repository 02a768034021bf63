#include "sandbox/zygote/sandbox_pipes.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox/base/syscall_status.h"

namespace cloister::sandbox {

absl::StatusOr<SandboxPipes> SandboxPipes::Make() {
  SandboxPipes pipes;
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return SyscallError("socketpair");
  pipes.host_channel.reset(ends[0]);
  pipes.channel.reset(ends[1]);
  if (pipe2(ends, O_CLOEXEC) != 0) return SyscallError("pipe");
  pipes.host_output.reset(ends[0]);
  pipes.output.reset(ends[1]);
  if (pipe2(ends, O_CLOEXEC) != 0) return SyscallError("pipe");
  pipes.host_error.reset(ends[0]);
  pipes.error.reset(ends[1]);
  return pipes;
}

}  // namespace cloister::sandbox
