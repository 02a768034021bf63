#include "sandbox/zygote/copier.h"

#include <linux/kcmp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/landlock.h"
#include "sandbox/linux/namespaces.h"
#include "sandbox/linux/rlimits.h"
#include "sandbox/zygote/fork_point.h"
#include "sandbox/zygote/refusal.h"

namespace cloister::sandbox {
namespace {

// The only descriptors of a shadow: where HandOver has its own, and the next.
constexpr int kHomeDescriptor = HandOver::kDescriptor + 1;

// What a copy is handed, in this order, as descriptors from 0 on: /dev/null, stdout, stderr and the
// channel, which stay, and two that are closed when they have been used.
constexpr int kHandedInit = 4;
constexpr int kHandedRuleset = 5;

void Kill(pid_t pid) {
  // Not reaped, so the pid is its own.
  if (pid > 0) kill(pid, SIGKILL);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SandboxCopier>> SandboxCopier::Make(
    const ConfinePlan& plan, const internal::v1::ZygoteConfig& config) {
  CLOISTER_ASSIGN_OR_RETURN(HandOver hand_over, HandOver::Make());
  UniqueFd home(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
  if (!home) return SyscallError("pidfd_open");
  std::unique_ptr<SandboxCopier> copier(new SandboxCopier(plan, config, std::move(hand_over)));
  CLOISTER_ASSIGN_OR_RETURN(copier->home_, MoveDescriptor(std::move(home), kHomeDescriptor));
  return copier;
}

absl::Status SandboxCopier::GoHome() const { return JoinNamespaces(home_.get(), CLONE_NEWPID); }

// ---- shadows ------------------------------------------------------------------------------------

absl::Status SandboxCopier::SplitOff(int init_pidfd) const {
  prctl(PR_SET_NAME, "sandbox-shadow", 0, 0, 0);
  CLOISTER_RETURN_IF_ERROR(BeTracedByParent());
  CLOISTER_RETURN_IF_ERROR(JoinNamespaces(init_pidfd, CLONE_NEWPID));
  return CloneSharingMemory();
}

absl::StatusOr<pid_t> SandboxCopier::AdoptShadow(int64_t sandbox_id, pid_t shadow, Init init) {
  const TracingScope scope;
  scope.Attract(shadow);
  const TracedProcess process(shadow);
  pid_t first_process = 0;
  const auto adopt = [&]() -> absl::Status {
    CLOISTER_RETURN_IF_ERROR(process.AwaitStop());
    CLOISTER_ASSIGN_OR_RETURN(const user_regs_struct registers, process.Registers());
    first_process = StoppedClonePid(registers);
    scope.LetGo(first_process);
    CLOISTER_RETURN_IF_ERROR(process.Keep());
    return LeaveDescriptors(process);
  };
  if (absl::Status status = adopt(); !status.ok()) {
    Kill(shadow);
    Kill(first_process);
    return status;
  }
  shadows_[sandbox_id] = {process, std::move(init), first_process};
  return first_process;
}

// The copies of a shadow begin in the nursery's pid namespace, as it did, and with its descriptors.
absl::Status SandboxCopier::LeaveDescriptors(const TracedProcess& shadow) const {
  CLOISTER_RETURN_IF_ERROR(
      shadow.Call("setns", SYS_setns, {kHomeDescriptor, CLONE_NEWPID}).status());
  CLOISTER_RETURN_IF_ERROR(
      shadow.Call("close_range", SYS_close_range, {0, HandOver::kDescriptor - 1, 0}).status());
  return shadow.Call("close_range", SYS_close_range, {kHomeDescriptor + 1, ~0U, 0}).status();
}

// ---- copying memory -----------------------------------------------------------------------------

absl::StatusOr<SandboxCopier::Copy> SandboxCopier::CopySandbox(
    const internal::v1::CopySandbox& request, Init init, const SandboxDescriptors& descriptors,
    StageClock& clock) {
  if (const auto lost = lost_.find(request.parent_id()); lost != lost_.end()) {
    return Refusal(lost->second);
  }
  const auto parent = shadows_.find(request.parent_id());
  if (parent == shadows_.end()) {
    return absl::NotFoundError("the sandbox has ended, or was not made to be copied");
  }
  const TracingScope scope;
  scope.Attract(parent->second.process.pid());
  Copy copy;
  const auto make = [&]() -> absl::Status {
    clock.Begin("copy");
    CLOISTER_ASSIGN_OR_RETURN(copy.shadow, CloneShadow(request.parent_id(), parent->second));
    const TracedProcess shadow(copy.shadow);
    CLOISTER_RETURN_IF_ERROR(shadow.AwaitStop());
    clock.Begin("memory");
    CLOISTER_RETURN_IF_ERROR(mappings_.Check(copy.shadow));
    // What its parent had there at the moment of the copy is not known.
    CLOISTER_RETURN_IF_ERROR(shadow.RestoreInstruction());
    if (request.snapshot()) {
      copy.first_process = copy.shadow;
      return absl::OkStatus();
    }
    CLOISTER_RETURN_IF_ERROR(MakeFirstProcess(request, init, descriptors, clock, &copy));
    scope.LetGo(copy.first_process);
    return absl::OkStatus();
  };
  if (absl::Status status = make(); !status.ok()) {
    Kill(copy.first_process);
    Kill(copy.shadow);
    waiting_.erase(request.sandbox_id());
    return status;
  }
  if (request.snapshot()) waiting_[request.sandbox_id()].parent_id = request.parent_id();
  shadows_[request.sandbox_id()] = {TracedProcess(copy.shadow), std::move(init),
                                    request.snapshot() ? 0 : copy.first_process};
  return copy;
}

// A shadow that was lost on the way may stand anywhere in its sandbox's code: it must not live to run that.
absl::StatusOr<pid_t> SandboxCopier::CloneShadow(int64_t sandbox_id, const Shadow& source) {
  CLOISTER_RETURN_IF_ERROR(CheckProgram(source));
  CLOISTER_RETURN_IF_ERROR(CheckPageTables(source.process.pid()));
  const absl::StatusOr<int64_t> pid = source.process.Call("clone", SYS_clone, CopyArguments());
  if (pid.ok()) return static_cast<pid_t>(*pid);
  if (!TracedProcess::IsLost(pid.status())) return pid.status();
  Kill(source.process.pid());
  const std::string why = absl::StrCat(
      "it has changed code that copying it needs, and cannot be copied any more (",
      absl::string_view(pid.status().message()), ")");
  lost_[sandbox_id] = why;
  return Refusal(why);
}

// Where subprocesses are allowed, a program may have replaced itself by another: what its shadow holds
// is not it any more.
absl::Status SandboxCopier::CheckProgram(const Shadow& shadow) const {
  if (shadow.first_process == 0 || !config_.spec().allow_subprocesses()) return absl::OkStatus();
  const long same = syscall(SYS_kcmp, shadow.process.pid(), shadow.first_process, KCMP_VM, 0, 0);
  if (same < 0) return SyscallError("kcmp");
  return same == 0 ? absl::OkStatus()
                   : Refusal("the interpreter has replaced itself by another program (exec)");
}

absl::StatusOr<uint64_t> SandboxCopier::MapScratch(const TracedProcess& shadow) const {
  CLOISTER_ASSIGN_OR_RETURN(const int64_t address,
                            shadow.Call("mmap", SYS_mmap,
                                        {0, kCopyScratchBytes, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS, ~uint64_t{0}, 0}));
  return static_cast<uint64_t>(address);
}

absl::Status SandboxCopier::GiveDescriptors(const TracedProcess& shadow, uint64_t scratch,
                                            const Init& init,
                                            const SandboxDescriptors& descriptors) {
  CLOISTER_ASSIGN_OR_RETURN(const UniqueFd workspace, OpenDirectoryOf(init, "/workspace"));
  CLOISTER_ASSIGN_OR_RETURN(const UniqueFd tmp, OpenDirectoryOf(init, "/tmp"));
  std::optional<LandlockPolicy> policy;
  if (config_.landlock()) {
    CLOISTER_ASSIGN_OR_RETURN(policy, plan_.MakeLandlockPolicy(workspace.get(), tmp.get()));
  }
  const int handed[] = {STDIN_FILENO,
                        descriptors.standard_output,
                        descriptors.standard_error,
                        descriptors.channel,
                        init.pidfd.get(),
                        policy.has_value() ? policy->fd() : STDIN_FILENO};
  static_assert(std::size(handed) == kHandedRuleset + 1);
  return hand_over_.Give(shadow, scratch, handed);
}

absl::StatusOr<TracedProcess> SandboxCopier::CloneFirstProcess(const TracedProcess& shadow) const {
  CLOISTER_RETURN_IF_ERROR(shadow.Call("setns", SYS_setns, {kHandedInit, CLONE_NEWPID}).status());
  CLOISTER_ASSIGN_OR_RETURN(const int64_t pid, shadow.Call("clone", SYS_clone, SharingArguments()));
  return TracedProcess(static_cast<pid_t>(pid));
}

absl::Status SandboxCopier::MakeFirstProcess(const internal::v1::CopySandbox& request,
                                             const Init& init,
                                             const SandboxDescriptors& descriptors,
                                             StageClock& clock, Copy* copy) {
  const TracedProcess shadow(copy->shadow);
  clock.Begin("hand_over");
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t scratch, MapScratch(shadow));
  CLOISTER_RETURN_IF_ERROR(GiveDescriptors(shadow, scratch, init, descriptors));
  clock.Begin("clone");
  CLOISTER_ASSIGN_OR_RETURN(const TracedProcess first, CloneFirstProcess(shadow));
  copy->first_process = first.pid();
  CLOISTER_RETURN_IF_ERROR(first.AwaitStop());
  CLOISTER_RETURN_IF_ERROR(LeaveDescriptors(shadow));
  CLOISTER_RETURN_IF_ERROR(ApplyProgramRlimitsTo(first.pid(), request.guest_limits()));
  const CopyPlace place = {
      .init_pidfd = kHandedInit, .landlock_ruleset = kHandedRuleset, .user = init.user,
      .scratch = scratch};
  CLOISTER_RETURN_IF_ERROR(plan_.ConfineCopy(first, place, clock));
  waiting_[request.sandbox_id()] = {first, scratch, request.parent_id()};
  return absl::OkStatus();
}

// ---- ends ---------------------------------------------------------------------------------------

absl::Status SandboxCopier::Release(int64_t sandbox_id) {
  auto waiting = waiting_.extract(sandbox_id);
  if (waiting.empty()) return absl::NotFoundError("there is no such copy");
  if (waiting.mapped().first_process.pid() == 0) return absl::OkStatus();  // a snapshot
  const CopyEntry entry = EntryOfCopies();
  return waiting.mapped().first_process.Release(entry.instruction, entry.stack,
                                                waiting.mapped().scratch);
}

std::optional<pid_t> SandboxCopier::Forget(int64_t sandbox_id) {
  lost_.erase(sandbox_id);
  if (const auto waiting = waiting_.extract(sandbox_id); !waiting.empty()) {
    Kill(waiting.mapped().first_process.pid());
  }
  const auto shadow = shadows_.find(sandbox_id);
  if (shadow == shadows_.end()) return std::nullopt;
  Kill(shadow->second.process.pid());
  return shadow->second.process.pid();
}

}  // namespace cloister::sandbox
