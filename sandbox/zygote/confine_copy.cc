// ConfinePlan::ConfineCopy: the steps of ConfineSandbox, in the same order, made by a stopped process
// whose memory is not ours. Each is one system call that the zygote has approved, with what its pointers
// lead to (traced_process.h).

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstring>

#include "sandbox/base/status_macros.h"
#include "sandbox/zygote/confine.h"

#ifndef SYS_landlock_restrict_self
#define SYS_landlock_restrict_self 446
#endif

namespace cloister::sandbox {
namespace {

using Arguments = TracedProcess::Arguments;

// What system calls read, at the beginning of the copy's scratch memory; then the filter.
struct ScratchHead {
  __user_cap_header_struct capability_header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct no_capabilities[_LINUX_CAPABILITY_U32S_3] = {};
  sock_fprog filter = {};
  char workspace[16] = "/workspace";
};

using Memory = TracedProcess::Memory;

absl::Status MakeCall(const TracedProcess& copy, const char* name, long number,
                      const Arguments& arguments, const Memory& pointed_to = {}) {
  return copy.Call(name, number, arguments, {pointed_to}).status();
}

// Without the filter, which is long.
Memory HeadOf(const Memory& scratch) {
  return {scratch.address, scratch.bytes.substr(0, sizeof(ScratchHead))};
}

uint64_t Word(int64_t value) { return static_cast<uint64_t>(value); }

}  // namespace

std::string ConfinePlan::CopyScratch(uint64_t address) const {
  ScratchHead head;
  head.filter.len = static_cast<unsigned short>(sandbox_filter_.size());
  head.filter.filter = reinterpret_cast<sock_filter*>(address + sizeof(head));
  std::string bytes(reinterpret_cast<const char*>(&head), sizeof(head));
  bytes.append(reinterpret_cast<const char*>(sandbox_filter_.data()),
               sandbox_filter_.size() * sizeof(sock_filter));
  return bytes;
}

absl::Status ConfinePlan::ConfineCopy(const TracedProcess& copy, const CopyPlace& place,
                                      StageClock& clock) const {
  const std::string scratch = CopyScratch(place.scratch);
  const Memory written = {place.scratch, scratch};
  CLOISTER_RETURN_IF_ERROR(copy.Write(place.scratch, scratch));
  clock.Begin("namespaces");
  CLOISTER_RETURN_IF_ERROR(
      MakeCall(copy, "setns", SYS_setns,
           {Word(place.init_pidfd), CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS}));
  clock.Begin("process_group");
  CLOISTER_RETURN_IF_ERROR(MakeCall(copy, "setpgid", SYS_setpgid, {0, 0}));
  CLOISTER_RETURN_IF_ERROR(TakeCopyPrivileges(copy, place, written, clock));
  clock.Begin("workspace");
  CLOISTER_RETURN_IF_ERROR(
      MakeCall(copy, "chdir", SYS_chdir, {place.scratch + offsetof(ScratchHead, workspace)},
               HeadOf(written)));
  clock.Begin("landlock");
  if (config_.landlock()) {
    CLOISTER_RETURN_IF_ERROR(MakeCall(copy, "landlock_restrict_self", SYS_landlock_restrict_self,
                                      {Word(place.landlock_ruleset), 0}));
  }
  clock.Begin("descriptors");
  CLOISTER_RETURN_IF_ERROR(
      MakeCall(copy, "close_range", SYS_close_range, {kLastKeptDescriptor + 1, ~0U, 0}));
  clock.Begin("seccomp");
  if (!config_.seccomp()) return absl::OkStatus();
  return MakeCall(copy, "seccomp", SYS_seccomp,
                  {SECCOMP_SET_MODE_FILTER, 0, place.scratch + offsetof(ScratchHead, filter)},
                  written);
}

absl::Status ConfinePlan::TakeCopyPrivileges(const TracedProcess& copy, const CopyPlace& place,
                                             const TracedProcess::Memory& written,
                                             StageClock& clock) const {
  if (config_.unsafe_keep_capabilities()) {
    return absl::UnimplementedError("a sandbox that keeps capabilities cannot be copied");
  }
  const Memory head = HeadOf(written);
  clock.Begin("ids");
  const uint64_t user = place.user;
  const uint64_t group = Word(config_.sandbox_gid());
  const absl::Status groups = MakeCall(copy, "setgroups", SYS_setgroups, {0, 0});
  if (!groups.ok() && errno != EPERM) return groups;  // as in BecomeUser
  CLOISTER_RETURN_IF_ERROR(MakeCall(copy, "setresgid", SYS_setresgid, {group, group, group}));
  CLOISTER_RETURN_IF_ERROR(MakeCall(copy, "setresuid", SYS_setresuid, {user, user, user}));
  clock.Begin("capabilities");
  CLOISTER_RETURN_IF_ERROR(
      MakeCall(copy, "prctl", SYS_prctl, {PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0}));
  CLOISTER_RETURN_IF_ERROR(MakeCall(copy, "capset", SYS_capset,
                                    {place.scratch + offsetof(ScratchHead, capability_header),
                                     place.scratch + offsetof(ScratchHead, no_capabilities)},
                                    head));
  return MakeCall(copy, "prctl", SYS_prctl, {PR_SET_DUMPABLE, 0, 0, 0, 0});
}

}  // namespace cloister::sandbox
