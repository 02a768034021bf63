#include "sandbox/linux/clone.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "sandbox/base/syscall_status.h"

namespace cloister::sandbox {
namespace {

// glibc caches the thread id in the thread's control block, and registers that address with the
// kernel (set_tid_address). Handing the same address to clone3 lets the kernel write the child's id
// there, which is what fork(3) does.
void* CachedTidAddress() {
  void* address = nullptr;
  return prctl(PR_GET_TID_ADDRESS, &address, 0, 0, 0) == 0 ? address : nullptr;
}

// Container runtimes answer ENOSYS to clone3, whose flags their filters cannot see.
long CloneTheOldWay(const clone_args& args, int* pidfd) {
  const uint64_t flags = args.flags | args.exit_signal;
#ifdef __x86_64__
  return syscall(SYS_clone, flags, nullptr, pidfd, args.child_tid, 0);
#else
  return syscall(SYS_clone, flags, nullptr, pidfd, 0, args.child_tid);
#endif
}

// As <linux/pidfd.h> of Linux 6.13 has it.
struct PidfdInfo {
  uint64_t mask;
  uint64_t cgroup;
  uint32_t pid;
  uint32_t others[11];
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr unsigned long kPidfdGetInfo = _IOWR(0xff, 11, PidfdInfo);

absl::Status ReapedError() {
  return absl::NotFoundError("the process has been reaped, or is in no namespace of ours");
}

// For older kernels.
absl::StatusOr<pid_t> PidInFdinfo(int pidfd) {
  const std::string path = absl::StrCat("/proc/self/fdinfo/", pidfd);
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return SyscallError(absl::StrCat("open ", path));
  char text[512];
  const ssize_t size = read(file.get(), text, sizeof(text) - 1);
  if (size < 0) return SyscallError(absl::StrCat("read ", path));
  text[size] = '\0';
  const char* line = strstr(text, "\nPid:");
  if (line == nullptr) return absl::InternalError(absl::StrCat(path, " has no Pid line"));
  const long pid = strtol(line + 5, nullptr, 10);
  if (pid <= 0) return ReapedError();
  return static_cast<pid_t>(pid);
}

}  // namespace

absl::StatusOr<CloneResult> CloneProcess(const CloneOptions& options) {
  int pidfd = -1;
  pid_t set_tid = options.pid;
  clone_args args = {};
  args.flags = options.namespaces | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  args.exit_signal = static_cast<uint64_t>(options.exit_signal);
  if (void* tid = CachedTidAddress(); tid != nullptr) {
    args.flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    args.child_tid = reinterpret_cast<uint64_t>(tid);
  }
  if (options.pid != 0) {
    args.set_tid = reinterpret_cast<uint64_t>(&set_tid);
    args.set_tid_size = 1;
  }
  long pid = syscall(SYS_clone3, &args, sizeof(args));
  if (pid < 0 && errno == ENOSYS && options.pid == 0) pid = CloneTheOldWay(args, &pidfd);
  if (pid < 0) return SyscallError("clone3");
  CloneResult result;
  result.in_child = pid == 0;
  result.pid = static_cast<pid_t>(pid);
  if (pid > 0) result.pidfd.reset(pidfd);
  return result;
}

absl::StatusOr<pid_t> PidOfPidfd(int pidfd) {
  PidfdInfo info = {};
  if (ioctl(pidfd, kPidfdGetInfo, &info) != 0 && errno != ESRCH) return PidInFdinfo(pidfd);
  if (info.pid == 0) return ReapedError();
  return static_cast<pid_t>(info.pid);
}

absl::StatusOr<UniqueFd> OpenPidfd(pid_t pid) {
  UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) return SyscallError("pidfd_open");
  return pidfd;
}

absl::Status SignalPidfd(int pidfd, int signal) {
  if (syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0 || errno == ESRCH) {
    return absl::OkStatus();
  }
  return SyscallError(absl::StrCat("send signal ", signal));
}

absl::StatusOr<int> ReapPidfd(int pidfd) {
  constexpr int kSignalBase = 128;  // as shells do
  siginfo_t info = {};
  while (waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | __WALL) != 0) {
    if (errno != EINTR) return SyscallError("waitid");
  }
  return info.si_code == CLD_EXITED ? info.si_status : kSignalBase + info.si_status;
}

}  // namespace cloister::sandbox
