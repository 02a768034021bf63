#include "sandbox/spawner/cgroup_keeper.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "absl/time/time.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/cgroup.h"
#include "sandbox/linux/clone.h"
#include "sandbox/linux/close_fds.h"
#include "sandbox/spawner/privileges.h"

namespace cloister::sandbox {
namespace {

// The nurseries die with the spawner; this is for the kernel to see them out.
constexpr absl::Duration kPatience = absl::Seconds(10);

// The top directory of a hierarchy is often not writable even for its owner; and what still lives
// in a group has another uid.
constexpr int kNeeded[] = {CAP_DAC_OVERRIDE, CAP_KILL};

[[noreturn]] void RunKeeper(const std::vector<std::string>& paths, int lifeline) {
  prctl(PR_SET_NAME, "cgroup-keeper", 0, 0, 0);
  absl::Status status = CloseAllExcept({STDERR_FILENO, lifeline});
  if (status.ok()) status = KeepOnlyCapabilities(kNeeded);
  char byte;
  while (status.ok() && read(lifeline, &byte, 1) < 0 && errno == EINTR) {
  }
  if (status.ok()) status = CgroupManager::RemoveTrees(paths, kPatience);
  if (status.ok()) _exit(0);
  fprintf(stderr, "cloister-spawner: cgroup keeper: %s\n", status.ToString().c_str());
  _exit(1);
}

}  // namespace

absl::StatusOr<UniqueFd> StartCgroupKeeper(const std::vector<std::string>& paths) {
  std::array<int, 2> ends;
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return SyscallError("pipe");
  UniqueFd lifeline(ends[0]);
  UniqueFd held(ends[1]);
  CLOISTER_ASSIGN_OR_RETURN(const CloneResult clone, CloneProcess());
  if (clone.in_child) RunKeeper(paths, lifeline.get());
  return held;
}

}  // namespace cloister::sandbox
