#include "sandbox/spawner/launch.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/clone.h"
#include "sandbox/linux/mount_tree.h"
#include "sandbox/linux/namespaces.h"
#include "sandbox/linux/user_namespace.h"
#include "sandbox/spawner/image_loader.h"
#include "sandbox/spawner/privileges.h"
#include "sandbox/wire/packet_socket.h"
#include "sandbox/wire/zygote_control.h"

namespace cloister::sandbox {
namespace {

using internal::v1::Facilities;
using internal::v1::ZygoteConfig;
using internal::v1::ZygoteSpec;

// As root, a sandbox's ids are host ids nobody else has: systemd's registry of uid ranges leaves
// all from here on unused. Each template's user namespace has a block of them.
constexpr uint32_t kFirstHostId = 0x70000000;
constexpr uint32_t kIdCount = 65536;
constexpr uint32_t kBlockCount = 4096;
constexpr uint32_t kSandboxId = 1000;
constexpr int64_t kDefaultWorkspaceBytes = int64_t{64} << 20;

constexpr uint64_t kNamespaces =
    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;

bool IsRoot(const Facilities& facilities) {
  return facilities.setting() == Facilities::SETTING_ROOT;
}

bool IsContainer(const Facilities& facilities) {
  return facilities.setting() == Facilities::SETTING_CONTAINER;
}

// Without namespaces each of these is the only wall against something: none may be missing.
constexpr std::string_view kNeededInContainer[] = {"capabilities", "no_new_privs",   "not_dumpable",
                                                   "landlock",     "landlock_scope", "seccomp"};

bool IsAvailable(const Facilities& facilities, std::string_view name) {
  for (const auto& facility : facilities.facilities()) {
    if (facility.name() == name) return facility.available();
  }
  return false;
}

// As root a whole range of ids: the blocks begin elsewhere for each spawner, so that two servers on
// a machine hardly meet. Rootless the only id there is: the caller's, which is 0 in the
// spawner's own user namespace, appears as the sandbox's.
IdMaps MapsFor(const Facilities& facilities, int64_t id_block) {
  const auto block = static_cast<uint32_t>((getpid() + id_block) % kBlockCount);
  const uint32_t first = kFirstHostId + block * kIdCount;
  const IdRange range = IsRoot(facilities)
                            ? IdRange{.inside = 0, .outside = first, .count = kIdCount}
                            : IdRange{.inside = kSandboxId, .outside = 0, .count = 1};
  return {.users = {range}, .groups = {range}};
}

// While it lives, children are born dumpable: a child's files in /proc then belong to its user, so
// that a spawner which is not root on the machine can write its id maps.
class BearDumpableChildren {
 public:
  BearDumpableChildren() : before_(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)) {
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  }
  ~BearDumpableChildren() { prctl(PR_SET_DUMPABLE, before_, 0, 0, 0); }

 private:
  const int before_;
};

// Everything the child needs, opened before it loses sight of the machine.
struct Launch {
  Launch(const Facilities& facilities, const ZygoteSpec& spec)
      : facilities(facilities), spec(spec) {}

  const Facilities& facilities;
  const ZygoteSpec& spec;
  UniqueFd program;  // what is executed: the guest binary, or the image's loader
  UniqueFd device_tree;
  UniqueFd control;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
};

absl::StatusOr<UniqueFd> OpenGuestBinary(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd) return SyscallError(absl::StrCat("open the guest binary ", path));
  struct stat info;
  if (fstat(fd.get(), &info) != 0) return SyscallError(absl::StrCat("stat ", path));
  if (!S_ISREG(info.st_mode) || (info.st_mode & S_IXOTH) == 0 || (info.st_mode & S_IROTH) == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " must be a file that everybody may read and execute: chmod 755"));
  }
  return fd;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

// The configuration is sent once the id maps are written; the zygote, not we, will read it.
absl::Status WaitForConfiguration(int control) {
  pollfd polled = {control, POLLIN, 0};
  while (poll(&polled, 1, -1) < 0) {
    if (errno != EINTR) return SyscallError("poll");
  }
  return (polled.revents & POLLIN) != 0 ? absl::OkStatus()
                                        : absl::AbortedError("the spawner is gone");
}

absl::Status TakeIdentity(const Facilities& facilities) {
  if (IsRoot(facilities)) return BecomeUser(0, 0);
  // A uid other than 0 loses its capabilities to an exec unless they are ambient.
  return KeepCapabilitiesAcrossExec();
}

absl::Status DieWithSpawner(int control) {
  // After the last change of identity, which would clear it.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return SyscallError("PR_SET_PDEATHSIG");
  // It may have died before. A parent in another pid namespace has no pid to compare; its socket
  // tells.
  pollfd polled = {control, 0, 0};
  if (poll(&polled, 1, 0) > 0 && (polled.revents & POLLHUP) != 0) {
    return absl::AbortedError("the spawner is gone");
  }
  return absl::OkStatus();
}

// The spawner ignores signals that Python must find at their default to install its own handlers.
void ResetSignals() {
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

absl::Status PlaceDescriptors(Launch& launch) {
  // Out of the way first: any of them might sit where another has to go.
  UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return SyscallError("open /dev/null");
  constexpr int kFree = 10;
  const int stdin_fd = fcntl(null.get(), F_DUPFD_CLOEXEC, kFree);
  const int control_fd = fcntl(launch.control.get(), F_DUPFD_CLOEXEC, kFree);
  launch.program.reset(fcntl(launch.program.get(), F_DUPFD_CLOEXEC, kFree));
  if (stdin_fd < 0 || control_fd < 0 || !launch.program) return SyscallError("F_DUPFD");
  // What the runtime prints while it warms up is for the spawner's log.
  if (dup2(stdin_fd, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ||
      dup2(control_fd, kZygoteControlDescriptor) < 0) {
    return SyscallError("dup2");
  }
  return absl::OkStatus();
}

absl::Status EnterNamespaces(Launch& launch, const char** stage) {
  // Only now, in the group it was put into: a cgroup namespace shows paths from where it was made.
  *stage = "cgroup namespace";
  if (unshare(CLONE_NEWCGROUP) != 0) return SyscallError("unshare(CLONE_NEWCGROUP)");
  *stage = "mount tree";
  const int device_tree = launch.device_tree ? launch.device_tree.get() : -1;
  CLOISTER_RETURN_IF_ERROR(EnterImage(launch.spec.image_root(), device_tree));
  *stage = "host name";
  CLOISTER_RETURN_IF_ERROR(SetHostname("sandbox"));
  *stage = "identity";
  return TakeIdentity(launch.facilities);
}

absl::Status BecomeGuest(Launch& launch, const char** stage) {
  *stage = "id maps";
  CLOISTER_RETURN_IF_ERROR(WaitForConfiguration(launch.control.get()));
  if (!IsContainer(launch.facilities)) {
    CLOISTER_RETURN_IF_ERROR(EnterNamespaces(launch, stage));
  }
  *stage = "parent";
  CLOISTER_RETURN_IF_ERROR(DieWithSpawner(launch.control.get()));
  *stage = "descriptors";
  ResetSignals();
  CLOISTER_RETURN_IF_ERROR(PlaceDescriptors(launch));
  *stage = "exec";
  const std::vector<char*> arguments = Pointers(launch.arguments);
  const std::vector<char*> environment = Pointers(launch.environment);
  execveat(launch.program.get(), "", arguments.data(), environment.data(), AT_EMPTY_PATH);
  return SyscallError(absl::StrCat("execute ", launch.spec.guest_binary(),
                                   " (ENOENT: the image lacks its dynamic loader)"));
}

[[noreturn]] void RunChild(Launch& launch) {
  const char* stage = "start";
  const absl::Status status = BecomeGuest(launch, &stage);
  internal::v1::ZygoteEvent event;
  event.mutable_broken()->set_stage(stage);
  event.mutable_broken()->set_message(std::string(status.message()));
  (void)SendPacket(launch.control.get(), event);
  _exit(1);
}

absl::Status CheckContainer(const Facilities& facilities, const ZygoteSpec& spec) {
  for (const std::string_view name : kNeededInContainer) {
    if (IsAvailable(facilities, name)) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        "this machine allows neither CAP_SYS_ADMIN nor user namespaces, and sandboxes without "
        "namespaces need ",
        absl::string_view(name.data(), name.size()),
        ", which it lacks: start the server as root, allow unprivileged user namespaces (sysctl "
        "user.max_user_namespaces), or run Linux 6.12 or newer with Landlock"));
  }
  if (!spec.allow_subprocesses()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "without namespaces nothing holds a program's subprocesses together: start the server as "
      "root, allow unprivileged user namespaces, or set allow_subprocesses to false in template " +
      spec.template_name());
}

// Fills in what will be executed, and with what.
absl::Status PrepareProgram(const LaunchOptions& options, Launch& launch) {
  const ZygoteSpec& spec = launch.spec;
  CLOISTER_ASSIGN_OR_RETURN(launch.program, OpenGuestBinary(spec.guest_binary()));
  launch.arguments = {spec.guest_binary()};
  if (IsContainer(launch.facilities)) {
    CLOISTER_ASSIGN_OR_RETURN(launch.program, OpenImageLoader(spec.image_root()));
    launch.arguments = LoaderArguments(spec.image_root(), spec.guest_binary());
  }
  launch.arguments.insert(launch.arguments.end(), options.arguments.begin(),
                          options.arguments.end());
  for (const auto& [name, value] : GuestEnvironment(launch.facilities, spec)) {
    launch.environment.push_back(absl::StrCat(name, "=", value));
  }
  return absl::OkStatus();
}

// What the parent still does for a child that waits for it.
absl::Status Release(const Launch& launch, const LaunchOptions& options, const Nursery& nursery) {
  if (!IsContainer(launch.facilities)) {
    CLOISTER_RETURN_IF_ERROR(
        WriteIdMaps(nursery.pid, MapsFor(launch.facilities, options.id_block)));
  }
  if (options.cgroup != nullptr) CLOISTER_RETURN_IF_ERROR(options.cgroup->Attach(nursery.pid));
  internal::v1::ZygoteRequest request;
  *request.mutable_config() =
      MakeZygoteConfig(launch.facilities, launch.spec, options.scratch_directory);
  return SendPacket(nursery.control.get(), request);
}

}  // namespace

std::map<std::string, std::string> GuestEnvironment(const Facilities& facilities,
                                                    const ZygoteSpec& spec) {
  // The user is called as in the image, whatever its id.
  std::map<std::string, std::string> environment = {{"PATH", "/usr/local/bin:/usr/bin:/bin"},
                                                    {"HOME", "/workspace"},
                                                    {"LANG", "C.UTF-8"},
                                                    {"TMPDIR", "/tmp"},
                                                    {"USER", "sandbox"},
                                                    {"LOGNAME", "sandbox"}};
  if (IsContainer(facilities)) {
    for (const auto& [name, value] : ImageEnvironment(spec.image_root())) environment[name] = value;
  }
  for (const auto& [name, value] : spec.environment()) environment[name] = value;
  return environment;
}

ZygoteConfig MakeZygoteConfig(const Facilities& facilities, const ZygoteSpec& spec,
                              const std::string& scratch_directory) {
  ZygoteConfig config;
  *config.mutable_spec() = spec;
  // tmpfs takes a size of 0 for none.
  if (spec.default_workspace_bytes() <= 0) {
    config.mutable_spec()->set_default_workspace_bytes(kDefaultWorkspaceBytes);
  }
  // The guest runtime has no environment but this.
  const auto environment = GuestEnvironment(facilities, spec);
  *config.mutable_spec()->mutable_environment() = {environment.begin(), environment.end()};
  if (IsContainer(facilities)) {
    config.set_scratch_directory(scratch_directory);
  } else {
    config.mutable_spec()->set_image_root("/");
  }
  config.set_namespaces(!IsContainer(facilities));
  config.set_landlock(IsAvailable(facilities, "landlock"));
  config.set_seccomp(IsAvailable(facilities, "seccomp"));
  config.set_unsafe_keep_capabilities(!IsAvailable(facilities, "capabilities"));
  config.set_sandbox_uid(kSandboxId);
  // Not the last, which is nobody's.
  config.set_sandbox_uid_count(IsRoot(facilities) ? kIdCount - kSandboxId - 2 : 1);
  config.set_sandbox_gid(kSandboxId);
  return config;
}

absl::StatusOr<Nursery> LaunchGuest(const Facilities& facilities, const ZygoteSpec& spec,
                                    const LaunchOptions& options) {
  const bool is_container = IsContainer(facilities);
  if (is_container) CLOISTER_RETURN_IF_ERROR(CheckContainer(facilities, spec));
  Launch launch(facilities, spec);
  CLOISTER_RETURN_IF_ERROR(PrepareProgram(options, launch));
  if (IsRoot(facilities)) {
    CLOISTER_ASSIGN_OR_RETURN(launch.device_tree, MakeDeviceTree());
  }
  CLOISTER_ASSIGN_OR_RETURN(PacketPair sockets, MakePacketPair());
  launch.control = std::move(sockets.second);

  std::optional<BearDumpableChildren> dumpable;
  if (!is_container) dumpable.emplace();
  CLOISTER_ASSIGN_OR_RETURN(CloneResult clone,
                            CloneProcess({.namespaces = is_container ? 0 : kNamespaces}));
  if (clone.in_child) {
    sockets.first.reset();
    RunChild(launch);
  }
  Nursery nursery = {clone.pid, std::move(clone.pidfd), std::move(sockets.first)};
  const absl::Status status = Release(launch, options, nursery);
  if (status.ok()) return nursery;
  (void)SignalPidfd(nursery.pidfd.get(), SIGKILL);
  (void)ReapPidfd(nursery.pidfd.get());
  return status;
}

}  // namespace cloister::sandbox
