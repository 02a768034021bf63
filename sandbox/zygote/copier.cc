#include "sandbox/zygote/copier.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/copy_tree.h"
#include "sandbox/linux/landlock.h"
#include "sandbox/linux/namespaces.h"
#include "sandbox/linux/rlimits.h"
#include "sandbox/zygote/fork_point.h"

namespace cloister::sandbox {
namespace {

// The only descriptors of a shadow: high enough to leave 0 to 5 for those that arrive.
constexpr int kReceiveDescriptor = 40;
constexpr int kHomeDescriptor = 41;

// What a copy is handed, in this order, as descriptors from 0 on: /dev/null, stdout, stderr and the
// channel, which stay, and two that are closed when they have been used.
constexpr int kHandedInit = 4;
constexpr int kHandedRuleset = 5;
constexpr size_t kHandedCount = 6;

constexpr const char* kDirectories[] = {"/workspace", "/tmp"};

absl::StatusOr<UniqueFd> MoveTo(int descriptor, UniqueFd fd) {
  UniqueFd moved(fcntl(fd.get(), F_DUPFD_CLOEXEC, descriptor));
  if (moved.get() != descriptor) {
    return absl::InternalError(absl::StrCat("descriptor ", descriptor, " of the zygote is taken"));
  }
  return moved;
}

// One line of /proc/PID/maps, as far as it matters.
struct Mapping {
  bool shared = false;
  std::string device;
  std::string name;
};

Mapping ParseMapping(const std::string& line) {
  // begin-end permissions offset device inode name
  const std::vector<std::string> fields =
      absl::StrSplit(line, absl::MaxSplits(' ', 5), absl::SkipEmpty());
  Mapping mapping;
  if (fields.size() < 4) return mapping;
  mapping.shared = fields[1].size() > 3 && fields[1][3] == 's';
  mapping.device = fields[3];
  if (fields.size() > 5) mapping.name = std::string(absl::StripAsciiWhitespace(fields[5]));
  return mapping;
}

constexpr char kNoDevice[] = "00:00";

// Where the zygote's own mappings come from: the image and the guest binary, read-only for all.
std::vector<std::string> DevicesOfOwnMappings() {
  std::vector<std::string> devices = {kNoDevice};
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::string device = ParseMapping(line).device;
    if (std::find(devices.begin(), devices.end(), device) == devices.end()) {
      devices.push_back(device);
    }
  }
  return devices;
}

absl::StatusOr<UniqueFd> OpenDirectoryOf(const SandboxCopier::Init& init, const char* directory) {
  const std::string path = absl::StrCat("/proc/", init.pid, "/root", directory);
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return SyscallError(absl::StrCat("open ", path));
  // It was the right one if that process still lives: its pid is nobody else's then.
  pollfd ended = {init.pidfd.get(), POLLIN, 0};
  if (poll(&ended, 1, 0) != 0) return absl::NotFoundError("the sandbox has ended");
  return fd;
}

// A received message as the kernel fills it in, in the copy's scratch memory.
struct ScratchMessage {
  msghdr header = {};
  iovec data = {};
  char byte = 0;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kHandedCount)] = {};
};

void Kill(pid_t pid) {
  // Not reaped, so the pid is its own.
  if (pid > 0) kill(pid, SIGKILL);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SandboxCopier>> SandboxCopier::Make(
    const ConfinePlan& plan, const internal::v1::ZygoteConfig& config) {
  std::unique_ptr<SandboxCopier> copier(new SandboxCopier(plan, config));
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return SyscallError("socketpair");
  }
  copier->hand_over_.reset(ends[0]);
  CLOISTER_ASSIGN_OR_RETURN(copier->receive_, MoveTo(kReceiveDescriptor, UniqueFd(ends[1])));
  UniqueFd home(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
  if (!home) return SyscallError("pidfd_open");
  CLOISTER_ASSIGN_OR_RETURN(copier->home_, MoveTo(kHomeDescriptor, std::move(home)));
  copier->image_devices_ = DevicesOfOwnMappings();
  return copier;
}

SandboxCopier::Init SandboxCopier::Init::Duplicate() const {
  return {pid, UniqueFd(fcntl(pidfd.get(), F_DUPFD_CLOEXEC, 0)), user};
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
      shadow.Call("close_range", SYS_close_range, {0, kReceiveDescriptor - 1, 0}).status());
  return shadow.Call("close_range", SYS_close_range, {kHomeDescriptor + 1, ~0U, 0}).status();
}

// ---- copying memory -----------------------------------------------------------------------------

absl::StatusOr<SandboxCopier::Copy> SandboxCopier::CopySandbox(
    const internal::v1::CopySandbox& request, Init init, const SandboxDescriptors& descriptors,
    StageClock& clock) {
  const auto parent = shadows_.find(request.parent_id());
  if (parent == shadows_.end()) {
    return absl::NotFoundError("the sandbox has ended, or was not made to be copied");
  }
  const TracingScope scope;
  const TracedProcess& source = parent->second.process;
  scope.Attract(source.pid());
  Copy copy;
  const auto make = [&]() -> absl::Status {
    CLOISTER_RETURN_IF_ERROR(CheckProgram(parent->second));
    clock.Begin("copy");
    CLOISTER_ASSIGN_OR_RETURN(const int64_t pid, source.Call("clone", SYS_clone, CopyArguments()));
    copy.shadow = static_cast<pid_t>(pid);
    CLOISTER_RETURN_IF_ERROR(TracedProcess(copy.shadow).AwaitStop());
    clock.Begin("memory");
    CLOISTER_RETURN_IF_ERROR(CheckMemory(copy.shadow));
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

// Where subprocesses are allowed, a program may have replaced itself by another: what its shadow holds
// is not it any more.
absl::Status SandboxCopier::CheckProgram(const Shadow& shadow) const {
  if (shadow.first_process == 0 || !config_.spec().allow_subprocesses()) return absl::OkStatus();
  const long same = syscall(SYS_kcmp, shadow.process.pid(), shadow.first_process, KCMP_VM, 0, 0);
  if (same < 0) return SyscallError("kcmp");
  return same == 0 ? absl::OkStatus()
                   : absl::FailedPreconditionError(
                         "the interpreter has replaced itself by another program (exec)");
}

// Memory of which both would see the other's writes, and memory of files that the parent can write.
absl::Status SandboxCopier::CheckMemory(pid_t shadow) const {
  std::ifstream maps(absl::StrCat("/proc/", shadow, "/maps"));
  if (!maps) return SyscallError("read the mappings of a copy");
  for (std::string line; std::getline(maps, line);) {
    const Mapping mapping = ParseMapping(line);
    const bool of_image = std::find(image_devices_.begin(), image_devices_.end(),
                                    mapping.device) != image_devices_.end();
    if (!mapping.shared && of_image) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("memory would stay shared with the copy: ",
                     mapping.name.empty() ? "a shared mapping" : mapping.name,
                     " (close what maps it, e.g. mmap or numpy.memmap)"));
  }
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> SandboxCopier::MapScratch(const TracedProcess& shadow) const {
  CLOISTER_ASSIGN_OR_RETURN(const int64_t address,
                            shadow.Call("mmap", SYS_mmap,
                                        {0, kCopyScratchBytes, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS, ~uint64_t{0}, 0}));
  return static_cast<uint64_t>(address);
}

absl::Status SandboxCopier::HandOver(const TracedProcess& shadow, uint64_t scratch,
                                     const Init& init,
                                     const SandboxDescriptors& descriptors) const {
  CLOISTER_ASSIGN_OR_RETURN(const UniqueFd workspace, OpenDirectoryOf(init, kDirectories[0]));
  CLOISTER_ASSIGN_OR_RETURN(const UniqueFd tmp, OpenDirectoryOf(init, kDirectories[1]));
  std::optional<LandlockPolicy> policy;
  if (config_.landlock()) {
    CLOISTER_ASSIGN_OR_RETURN(policy, plan_.MakeLandlockPolicy(workspace.get(), tmp.get()));
  }
  const int handed[kHandedCount] = {STDIN_FILENO,
                                    descriptors.standard_output,
                                    descriptors.standard_error,
                                    descriptors.channel,
                                    init.pidfd.get(),
                                    policy.has_value() ? policy->fd() : STDIN_FILENO};
  char byte = 0;
  iovec data = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(handed))] = {};
  msghdr header = {};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  cmsghdr* const rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(handed));
  std::memcpy(CMSG_DATA(rights), handed, sizeof(handed));
  if (sendmsg(hand_over_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) {
    return SyscallError("hand descriptors to a copy");
  }

  ScratchMessage message;
  message.data = {reinterpret_cast<void*>(scratch + offsetof(ScratchMessage, byte)), 1};
  message.header.msg_iov = reinterpret_cast<iovec*>(scratch + offsetof(ScratchMessage, data));
  message.header.msg_iovlen = 1;
  message.header.msg_control =
      reinterpret_cast<void*>(scratch + offsetof(ScratchMessage, control));
  message.header.msg_controllen = sizeof(message.control);
  CLOISTER_RETURN_IF_ERROR(
      shadow.Write(scratch, {reinterpret_cast<const char*>(&message), sizeof(message)}));
  return shadow
      .Call("recvmsg", SYS_recvmsg,
            {kReceiveDescriptor, scratch + offsetof(ScratchMessage, header), MSG_DONTWAIT})
      .status();
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
  CLOISTER_RETURN_IF_ERROR(HandOver(shadow, scratch, init, descriptors));
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

// ---- copying files ------------------------------------------------------------------------------

absl::StatusOr<bool> SandboxCopier::HasFilesToCopy(int64_t sandbox_id) const {
  const auto waiting = waiting_.find(sandbox_id);
  if (waiting == waiting_.end()) return absl::NotFoundError("there is no such copy");
  const auto parent = shadows_.find(waiting->second.parent_id);
  if (parent == shadows_.end()) return absl::AbortedError("its parent has ended meanwhile");
  for (const char* name : kDirectories) {
    CLOISTER_ASSIGN_OR_RETURN(const UniqueFd directory, OpenDirectoryOf(parent->second.init, name));
    CLOISTER_ASSIGN_OR_RETURN(const bool empty, IsEmptyDirectory(directory.get()));
    if (!empty) return true;
  }
  return false;
}

absl::Status SandboxCopier::CopyDirectories(const Init& from, const Init& to) const {
  constexpr size_t kCount = std::size(kDirectories);
  UniqueFd sources[kCount];
  UniqueFd targets[kCount];
  CLOISTER_ASSIGN_OR_RETURN(LandlockPolicy policy, LandlockPolicy::Create());
  for (size_t i = 0; i < kCount; ++i) {
    CLOISTER_ASSIGN_OR_RETURN(sources[i], OpenDirectoryOf(from, kDirectories[i]));
    CLOISTER_ASSIGN_OR_RETURN(targets[i], OpenDirectoryOf(to, kDirectories[i]));
    CLOISTER_RETURN_IF_ERROR(policy.Allow(sources[i].get(), LandlockAccess::kReadExecute));
    CLOISTER_RETURN_IF_ERROR(policy.Allow(targets[i].get(), LandlockAccess::kReadWrite));
  }
  // Nothing but these four, whatever tricks the tree has.
  if (config_.landlock()) CLOISTER_RETURN_IF_ERROR(std::move(policy).Enforce());
  const TreeOwner owner = {.user = to.user,
                           .group = static_cast<gid_t>(config_.sandbox_gid())};
  for (size_t i = 0; i < kCount; ++i) {
    const absl::Status status = CopyTree(sources[i].get(), targets[i].get(), owner);
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat("copy ", kDirectories[i], ": ",
                                                      status.message()));
    }
  }
  return absl::OkStatus();
}

int SandboxCopier::CopyFiles(int64_t sandbox_id, int report) const {
  const auto waiting = waiting_.find(sandbox_id);
  const auto parent = shadows_.find(waiting->second.parent_id);
  const auto self = shadows_.find(sandbox_id);
  umask(0);
  const absl::Status status = CopyDirectories(parent->second.init, self->second.init);
  if (status.ok()) return 0;
  const std::string text(status.message());
  (void)!write(report, text.data(), text.size());
  return 1;
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
  if (const auto waiting = waiting_.extract(sandbox_id); !waiting.empty()) {
    Kill(waiting.mapped().first_process.pid());
  }
  const auto shadow = shadows_.find(sandbox_id);
  if (shadow == shadows_.end()) return std::nullopt;
  Kill(shadow->second.process.pid());
  return shadow->second.process.pid();
}

}  // namespace cloister::sandbox
