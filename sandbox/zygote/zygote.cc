#include "sandbox/zygote/zygote.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sandbox/base/monotonic_time.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/linux/clone.h"
#include "sandbox/linux/namespaces.h"
#include "sandbox/base/foreign_text.h"
#include "sandbox/wire/packet_socket.h"
#include "sandbox/zygote/refusal.h"
#include "sandbox/zygote/sandbox_process.h"
#include "sandbox/zygote/stage_clock.h"

namespace cloister::sandbox {
namespace {

using internal::v1::InitOffer;
using internal::v1::InitRequest;
using internal::v1::ZygoteEvent;
using internal::v1::ZygoteRequest;

// Inits kept ready: one being taken, one being made.
constexpr int kReadyInits = 2;

// What is told of a clone that failed, at most.
constexpr size_t kMaxFailureBytes = 600;

absl::StatusOr<UniqueFd> BlockAndWatchChildSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  if (sigprocmask(SIG_BLOCK, &signals, nullptr) != 0) return SyscallError("sigprocmask");
  UniqueFd fd(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return SyscallError("signalfd");
  return fd;
}

absl::Status CheckSingleThreaded() {
  struct stat tasks;
  if (stat("/proc/self/task", &tasks) != 0) return SyscallError("stat /proc/self/task");
  const auto threads = tasks.st_nlink - 2;  // one directory each, beside . and ..
  if (threads == 1) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the warm-up left ", threads,
                   " threads; a zygote must have one. Remove the import that starts them"));
}

// Makes a sandbox's directories where it has no mounts of its own. They go when it does, or when
// its clone has failed: the spawner sees to that.
absl::StatusOr<std::string> MakeScratch(const std::string& parent, int64_t sandbox_id) {
  std::string directory = absl::StrCat(parent, "/", sandbox_id);
  for (const char* part : {"", "/workspace", "/tmp"}) {
    if (mkdir((directory + part).c_str(), S_IRWXU) != 0) {
      return SyscallError(absl::StrCat("make ", directory, part));
    }
  }
  return directory;
}

int64_t CpuNanoseconds(const rusage& usage) {
  const auto nanoseconds = [](const timeval& time) {
    return (int64_t{time.tv_sec} * 1'000'000 + time.tv_usec) * 1'000;
  };
  return nanoseconds(usage.ru_utime) + nanoseconds(usage.ru_stime);
}

}  // namespace

Zygote::Zygote(GuestRuntime& runtime, UniqueFd control, UniqueFd nursery)
    : runtime_(runtime), control_(std::move(control)), nursery_(std::move(nursery)) {}

int Zygote::Run() {
  absl::Status status = SetUp();
  if (!status.ok()) {
    ZygoteEvent event;
    event.mutable_broken()->set_stage(stage_);
    event.mutable_broken()->set_message(std::string(status.message()));
    event.mutable_broken()->set_is_permanent(absl::IsInvalidArgument(status));
    (void)Send(event);
    return 1;
  }
  status = Serve();
  if (status.ok() || absl::IsOutOfRange(status)) return 0;  // retired, or the spawner is gone
  fprintf(stderr, "zygote: %s\n", status.ToString().c_str());
  return 1;
}

absl::Status Zygote::SetUp() {
  const int64_t start = MonotonicNanoseconds();
  stage_ = "configuration";
  ZygoteRequest request;
  CLOISTER_RETURN_IF_ERROR(ReceivePacket(control_.get(), &request, nullptr));
  if (!request.has_config()) return absl::InternalError("the first request is no configuration");
  config_ = std::move(*request.mutable_config());
  if (config_.namespaces() && !has_nursery()) {
    return absl::InternalError("namespaces are wanted, but there is no nursery");
  }
  user_ids_ = UserIds(static_cast<uid_t>(config_.sandbox_uid()),
                      static_cast<size_t>(std::max<int64_t>(1, config_.sandbox_uid_count())));
  // Inits are made while the runtime warms up.
  for (int i = 0; i < kReadyInits; ++i) CLOISTER_RETURN_IF_ERROR(RequestInit());
  stage_ = "confinement";
  CLOISTER_ASSIGN_OR_RETURN(plan_, ConfinePlan::Make(config_));
  CLOISTER_RETURN_IF_ERROR(plan_->ConfineZygote());
  CLOISTER_ASSIGN_OR_RETURN(child_signals_, BlockAndWatchChildSignals());
  if (has_nursery()) {
    CLOISTER_ASSIGN_OR_RETURN(copier_, SandboxCopier::Make(*plan_, config_));
  }
  stage_ = "warm-up";
  CLOISTER_ASSIGN_OR_RETURN(std::string version, runtime_.WarmUp(config_.spec()));
  CLOISTER_RETURN_IF_ERROR(CheckSingleThreaded());
  stage_ = "filter";
  CLOISTER_RETURN_IF_ERROR(plan_->FilterZygote());

  ZygoteEvent event;
  event.mutable_ready()->set_python_version(std::move(version));
  event.mutable_ready()->set_warm_up_nanoseconds(MonotonicNanoseconds() - start);
  return Send(event);
}

absl::Status Zygote::Serve() {
  while (!finished()) {
    // The nursery is listened to only while somebody waits for an init: what it offers early stays
    // in the socket.
    const int nursery = has_pending() ? nursery_.get() : -1;
    pollfd polled[] = {
        {child_signals_.get(), POLLIN, 0}, {control_.get(), POLLIN, 0}, {nursery, POLLIN, 0}};
    if (poll(polled, 3, -1) < 0) {
      if (errno == EINTR) continue;
      return SyscallError("poll");
    }
    // Reaping first: a sandbox's teardown waits for it.
    if (polled[0].revents != 0) CLOISTER_RETURN_IF_ERROR(ReapChildren());
    if (polled[1].revents != 0) CLOISTER_RETURN_IF_ERROR(HandleRequests());
    const bool can_clone = !has_nursery() || polled[2].revents != 0;
    if (has_pending() && can_clone) CLOISTER_RETURN_IF_ERROR(CloneNext());
  }
  return absl::OkStatus();
}

absl::Status Zygote::ReapChildren() {
  signalfd_siginfo ignored;
  while (read(child_signals_.get(), &ignored, sizeof(ignored)) > 0) {
  }
  for (;;) {
    siginfo_t info = {};
    rusage usage = {};
    // glibc's waitid lacks the last argument.
    if (syscall(SYS_waitid, P_ALL, 0, &info, WEXITED | WNOHANG, &usage) != 0 || info.si_pid == 0) {
      return absl::OkStatus();  // none left, or none that has ended
    }
    internal::v1::ChildExited exited;
    exited.set_wait_code(info.si_code);
    exited.set_wait_status(info.si_status);
    exited.set_cpu_nanoseconds(CpuNanoseconds(usage));
    CLOISTER_RETURN_IF_ERROR(OnReaped(info.si_pid, exited));
  }
}

absl::Status Zygote::OnReaped(pid_t pid, const internal::v1::ChildExited& exited) {
  if (auto copier = file_copiers_.extract(pid); !copier.empty()) {
    const int64_t id = copier.mapped().sandbox_id;
    return ended_.contains(id) ? TellEnd(id) : OnFilesCopied(copier.mapped(), exited);
  }
  const auto found = children_.find(pid);
  if (found == children_.end()) return absl::OkStatus();  // of a clone that failed
  const Child child = found->second;
  children_.erase(found);
  if (child.role == Role::kShadow) {
    copier_->OnShadowGone(child.sandbox_id);
    return TellEnd(child.sandbox_id);  // or it lives, and cannot be copied any more
  }
  RemoveResident(child.home);
  ended_[child.sandbox_id] = exited;
  if (copier_ != nullptr && copier_->Forget(child.sandbox_id) == pid) {
    copier_->OnShadowGone(child.sandbox_id);  // a snapshot's
  }
  const auto copying = FindFileCopier(child.sandbox_id);
  if (copying != file_copiers_.end()) kill(copying->first, SIGKILL);
  return TellEnd(child.sandbox_id);
}

absl::Status Zygote::TellEnd(int64_t sandbox_id) {
  const bool is_served = (copier_ != nullptr && copier_->HasShadow(sandbox_id)) ||
                         FindFileCopier(sandbox_id) != file_copiers_.end();
  if (is_served || !ended_.contains(sandbox_id)) return absl::OkStatus();
  ZygoteEvent event;
  *event.mutable_child_exited() = ended_.extract(sandbox_id).mapped();
  event.mutable_child_exited()->set_sandbox_id(sandbox_id);
  return Send(event);
}

absl::Status Zygote::CloneNext() {
  const PendingClone pending = TakeNext();
  Init init;
  if (has_nursery()) {
    absl::StatusOr<Init> taken = TakeInit();
    // OUT_OF_RANGE: the nursery is gone, and with it soon this process.
    if (absl::IsOutOfRange(taken.status())) return taken.status();
    if (!taken.ok()) return ReportCloneFailure(pending.sandbox_id, taken.status());
    init = *std::move(taken);
  }
  const absl::Status status =
      pending.copy.has_value() ? CopySandbox(pending, init) : CloneSandbox(pending, init);
  if (status.ok()) return absl::OkStatus();
  if (init.pidfd) {
    (void)SignalPidfd(init.pidfd.get(), SIGKILL);
    user_ids_.Return(init.user);
  }
  return ReportCloneFailure(pending.sandbox_id, status);
}

absl::Status Zygote::ChooseNamespace(const PendingClone& pending, const Init& init) {
  if (!init.pidfd) return absl::OkStatus();
  // A shadow stays outside; it joins for its own clone.
  if (pending.forkable) return copier_->GoHome();
  return JoinNamespaces(init.pidfd.get(), CLONE_NEWPID);
}

absl::Status Zygote::CloneSandbox(const PendingClone& pending, const Init& init) {
  StageClock own_clock;
  own_clock.Begin("descriptors");
  if (pending.forkable && copier_ == nullptr) {
    return absl::UnimplementedError("without namespaces, sandboxes cannot be copied");
  }
  CLOISTER_ASSIGN_OR_RETURN(SandboxPipes pipes, SandboxPipes::Make());
  CLOISTER_RETURN_IF_ERROR(ChooseNamespace(pending, init));
  SandboxPlace place = {.init_pidfd = init.pidfd.get(), .user = init.user, .directory = ""};
  CLOISTER_ASSIGN_OR_RETURN(place.directory, PlaceDirectory(pending));
  own_clock.Begin("clone");
  StageClock child_clock;
  child_clock.Begin("clone");
  runtime_.BeforeFork();
  absl::StatusOr<CloneResult> clone = CloneProcess();
  if (clone.ok() && clone->in_child) {
    if (pending.forkable && !copier_->SplitOff(place.init_pidfd).ok()) _exit(EXIT_FAILURE);
    RunSandboxProcess(*plan_, place, pipes.ForSandbox(), runtime_, child_clock);
  }
  runtime_.AfterForkInParent();
  CLOISTER_RETURN_IF_ERROR(clone.status());
  CLOISTER_ASSIGN_OR_RETURN(const Cloned cloned, AdoptClone(pending, init, *std::move(clone)));
  return TellCloned(pending, own_clock, cloned, init, pipes);
}

// Where it has no mounts of its own.
absl::StatusOr<std::string> Zygote::PlaceDirectory(const PendingClone& pending) const {
  if (config_.namespaces()) return std::string();
  if (pending.joined_sandbox_id == 0) {
    return MakeScratch(config_.scratch_directory(), pending.sandbox_id);
  }
  return absl::StrCat(config_.scratch_directory(), "/", pending.joined_sandbox_id);
}

absl::StatusOr<Zygote::Cloned> Zygote::AdoptClone(const PendingClone& pending, const Init& init,
                                                  CloneResult clone) {
  if (!pending.forkable) {
    const bool joins = pending.joined_sandbox_id != 0;
    AddResident(clone.pid, pending.sandbox_id,
                joins ? pending.joined_sandbox_id : pending.sandbox_id, init.user);
    return Cloned{.first_process = std::move(clone.pidfd)};
  }
  CLOISTER_ASSIGN_OR_RETURN(
      const pid_t first, copier_->AdoptShadow(pending.sandbox_id, clone.pid, init.Duplicate()));
  children_[clone.pid] = {pending.sandbox_id, Role::kShadow, pending.sandbox_id};
  AddResident(first, pending.sandbox_id, pending.sandbox_id, init.user);
  CLOISTER_ASSIGN_OR_RETURN(UniqueFd first_process, OpenPidfd(first));
  return Cloned{.first_process = std::move(first_process), .shadow = std::move(clone.pidfd)};
}

absl::Status Zygote::TellCloned(const PendingClone& pending, const StageClock& clock,
                                const Cloned& cloned, const Init& init,
                                const SandboxPipes& pipes) {
  ZygoteEvent event;
  event.mutable_cloned()->set_sandbox_id(pending.sandbox_id);
  internal::v1::StageTime* queued = event.mutable_cloned()->add_stage_times();
  queued->set_stage("queue");
  queued->set_nanoseconds(clock.begin() - pending.asked_at);
  clock.Report(event.mutable_cloned()->mutable_stage_times());
  std::vector<int> sent = {cloned.first_process.get()};
  if (init.pidfd && pending.joined_sandbox_id == 0) sent.push_back(init.pidfd.get());
  event.mutable_cloned()->set_has_shadow(static_cast<bool>(cloned.shadow));
  event.mutable_cloned()->set_memory_bytes(cloned.memory_bytes);
  event.mutable_cloned()->set_has_file_copier(static_cast<bool>(cloned.file_copier));
  if (cloned.shadow) sent.push_back(cloned.shadow.get());
  if (cloned.file_copier) sent.push_back(cloned.file_copier.get());
  sent.insert(sent.end(),
              {pipes.host_channel.get(), pipes.host_output.get(), pipes.host_error.get()});
  return Send(event, sent);
}

absl::Status Zygote::ReportCloneFailure(int64_t sandbox_id, const absl::Status& status) {
  const int error_number = errno;
  ZygoteEvent event;
  internal::v1::CloneFailed& failed = *event.mutable_clone_failed();
  failed.set_sandbox_id(sandbox_id);
  const absl::string_view message = status.message();
  failed.set_stage(ForeignText({message.data(), message.size()}, kMaxFailureBytes));
  failed.set_error_number(error_number);
  if (IsRefusal(status)) failed.set_cause(internal::v1::FAILURE_CAUSE_REFUSED);
  if (absl::IsUnimplemented(status)) failed.set_cause(internal::v1::FAILURE_CAUSE_UNSUPPORTED);
  return Send(event);
}

absl::Status Zygote::RequestInit() {
  if (!has_nursery()) return absl::OkStatus();
  promised_.push_back(user_ids_.Take());
  InitRequest request;
  request.set_workspace_bytes(config_.spec().default_workspace_bytes());
  request.set_sandbox_uid(promised_.back());
  request.set_sandbox_gid(config_.sandbox_gid());
  return SendPacket(nursery_.get(), request);
}

absl::StatusOr<Zygote::Init> Zygote::TakeInit() {
  InitOffer offer;
  std::vector<UniqueFd> descriptors;
  CLOISTER_RETURN_IF_ERROR(ReceivePacket(nursery_.get(), &offer, &descriptors));
  const uid_t user = promised_.front();
  promised_.pop_front();
  if (descriptors.size() != 1) user_ids_.Return(user);
  CLOISTER_RETURN_IF_ERROR(RequestInit());
  if (descriptors.size() != 1) return absl::InternalError(absl::StrCat("init: ", offer.error()));
  return Init{offer.pid(), std::move(descriptors.front()), user};
}

absl::Status Zygote::Send(const ZygoteEvent& event, absl::Span<const int> descriptors) {
  return SendPacket(control_.get(), event, descriptors);
}

}  // namespace cloister::sandbox
