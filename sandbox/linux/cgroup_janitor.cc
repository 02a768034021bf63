#include "sandbox/linux/cgroup_janitor.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/cgroup.h"
#include "sandbox/linux/clone.h"
#include "sandbox/linux/close_fds.h"

namespace cloister::sandbox {
namespace {

// Every process below a dead spawner is being killed by the kernel meanwhile.
constexpr absl::Duration kPatience = absl::Seconds(10);

[[noreturn]] void WaitAndClean(int life_line, const std::vector<std::string>& paths) {
  ::setsid();
  ::prctl(PR_SET_NAME, "cgroup-janitor", 0, 0, 0);
  for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) ::signal(number, SIG_IGN);
  CloseAllExcept({life_line}).IgnoreError();
  // Nobody writes: read returns when the last writing end is closed.
  char nothing;
  while (::read(life_line, &nothing, 1) < 0 && errno == EINTR) {
  }
  ::_exit(CgroupManager::RemoveTrees(paths, kPatience).ok() ? 0 : 1);
}

}  // namespace

absl::StatusOr<CgroupJanitor> CgroupJanitor::Start(const std::vector<std::string>& paths) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return SyscallError("pipe2");
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  CLOISTER_ASSIGN_OR_RETURN(CloneResult clone, CloneProcess());
  if (clone.in_child) WaitAndClean(reader.get(), paths);
  return CgroupJanitor(std::move(writer), std::move(clone.pidfd));
}

CgroupJanitor::~CgroupJanitor() {
  if (!life_line_) return;
  life_line_.reset();
  siginfo_t info;
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED) < 0 && errno == EINTR) {
  }
}

}  // namespace cloister::sandbox
