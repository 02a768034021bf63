#include "sandbox/zygote/sandbox_init.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/capabilities.h"
#include "sandbox/linux/clone.h"
#include "sandbox/linux/close_fds.h"

namespace cloister::sandbox {
namespace {

// What the init reports once: this, or the text of its error.
constexpr std::string_view kReady = "ready";

absl::Status SetUpInit(const SandboxMounts& mounts, int report) {
  CLOISTER_RETURN_IF_ERROR(MountSandboxFilesystems(mounts));
  CLOISTER_RETURN_IF_ERROR(CloseAllExcept({report}));
  CLOISTER_RETURN_IF_ERROR(DropAllCapabilities());
  return SetNotDumpable();
}

[[noreturn]] void RunInit(const SandboxMounts& mounts, int report) {
  prctl(PR_SET_NAME, "sandbox-init", 0, 0, 0);
  const absl::Status status = SetUpInit(mounts, report);
  const std::string text = status.ok() ? std::string(kReady) : std::string(status.message());
  if (write(report, text.data(), text.size()) < 0 || !status.ok()) _exit(1);
  close(report);
  // SIGCHLD is ignored, so the kernel reaps for us; a pid 1 gets no other signal from its own
  // namespace that it has no handler for.
  for (;;) pause();
}

}  // namespace

absl::StatusOr<SandboxInit> MakeSandboxInit(const SandboxMounts& mounts) {
  std::array<int, 2> ends;
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return SyscallError("pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  CLOISTER_ASSIGN_OR_RETURN(
      CloneResult clone,
      CloneProcess({.namespaces = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS}));
  if (clone.in_child) RunInit(mounts, write_end.get());
  write_end.reset();
  std::array<char, 256> text;
  const ssize_t size = read(read_end.get(), text.data(), text.size());
  if (size < 0) return SyscallError("read an init's report");
  const std::string_view report(text.data(), static_cast<size_t>(size));
  if (report == kReady) return SandboxInit{clone.pid, std::move(clone.pidfd)};
  return absl::InternalError(report.empty() ? "a sandbox's init died at its start"
                                            : std::string(report));
}

}  // namespace cloister::sandbox
