#include "sandbox/zygote/sandbox_init.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/capabilities.h"
#include "sandbox/linux/close_fds.h"

namespace cloister::sandbox {
namespace {

#ifndef __x86_64__
#error "SleepForever is written for x86-64 only: add the four instructions of this machine"
#endif

// Enough for mounting; the pages an init touches are touched again by the next.
constexpr size_t kStackBytes = size_t{64} << 10;

constexpr uint64_t kFlags =
    CLONE_VM | CLONE_PIDFD | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD;

// What the init reports once: this, or the text of its error.
constexpr std::string_view kReady = "ready";

// What the init gets from the nursery, on whose stack it lies.
struct InitArguments {
  const SandboxMounts& mounts;
  int report;
};

absl::Status SetUpInit(const InitArguments& arguments) {
  CLOISTER_RETURN_IF_ERROR(MountSandboxFilesystems(arguments.mounts));
  CLOISTER_RETURN_IF_ERROR(CloseAllExcept({arguments.report}));
  return DropAllCapabilities();
}

// Reports, closes the report, and sleeps for as long as the sandbox lives. From the report on the
// nursery goes on and gives this stack to the next init, so there may be no stack from here: no
// call, no spill. SIGCHLD is ignored, so the kernel reaps for us; and a pid 1 gets no signal from
// its own namespace that it has no handler for.
[[noreturn]] void ReportAndSleepForever(int report) {
  asm volatile(
      "syscall\n\t"  // write(report, kReady)
      "movl %[close], %%eax\n\t"
      "syscall\n\t"
      "1: movl %[pause], %%eax\n\t"
      "syscall\n\t"
      "jmp 1b"
      :
      : "a"(SYS_write), "D"(report), "S"(kReady.data()),
        "d"(kReady.size()), [close] "i"(SYS_close), [pause] "i"(SYS_pause)
      : "rcx", "r11", "memory");
  __builtin_unreachable();
}

// The child shares the nursery's memory, as after vfork(2): until it reports, the nursery stands
// still, so that what it allocates and frees meanwhile disturbs nobody.
int RunInit(void* opaque) {
  const auto& arguments = *static_cast<const InitArguments*>(opaque);
  prctl(PR_SET_NAME, "sandbox-init", 0, 0, 0);
  const absl::Status status = SetUpInit(arguments);
  if (status.ok()) ReportAndSleepForever(arguments.report);
  const std::string_view text(status.message().data(), status.message().size());
  return write(arguments.report, text.data(), text.size()) < 0 ? 2 : 1;
}

// Made once: there is one init at a time that uses it.
absl::StatusOr<char*> StackTop() {
  static void* const stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return SyscallError("map the stack of inits");
  return static_cast<char*>(stack) + kStackBytes;
}

}  // namespace

absl::StatusOr<SandboxInit> MakeSandboxInit(const SandboxMounts& mounts) {
  std::array<int, 2> ends;
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return SyscallError("pipe");
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  CLOISTER_ASSIGN_OR_RETURN(char* const stack, StackTop());
  InitArguments arguments = {.mounts = mounts, .report = write_end.get()};
  int pidfd = -1;
  const pid_t pid = clone(RunInit, stack, static_cast<int>(kFlags), &arguments, &pidfd);
  if (pid < 0) return SyscallError("clone a sandbox's init");
  SandboxInit init = {pid, UniqueFd(pidfd)};
  write_end.reset();
  std::array<char, 256> text;
  const ssize_t size = read(read_end.get(), text.data(), text.size());
  if (size < 0) return SyscallError("read an init's report");
  const std::string_view report(text.data(), static_cast<size_t>(size));
  if (report == kReady) return init;
  return absl::InternalError(report.empty() ? "a sandbox's init died at its start"
                                            : std::string(report));
}

}  // namespace cloister::sandbox
