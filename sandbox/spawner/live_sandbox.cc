#include "sandbox/spawner/live_sandbox.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/monotonic_time.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/linux/clone.h"
#include "sandbox/linux/mount_tree.h"

namespace cloister::sandbox {

LiveSandbox::~LiveSandbox() { StopWatching(); }

absl::Status LiveSandbox::Adopt(Processes processes, const internal::v1::ZygoteSpec& spec) {
  first_process_ = std::move(processes.first);
  init_ = std::move(processes.init);
  init_gone_ = !init_;
  has_shadow_ = static_cast<bool>(processes.shadow);
  workspace_bytes_ = spec.default_workspace_bytes();
  may_have_children_ = spec.allow_subprocesses();
  CLOISTER_ASSIGN_OR_RETURN(host_pid_, PidOfPidfd(first_process_.get()));
  if (home_ != nullptr) {
    return home_->cgroup_ == nullptr ? absl::OkStatus() : home_->cgroup_->Attach(host_pid_);
  }
  if (copy_.has_value() && copy_->workspace_bytes() > 0 &&
      copy_->workspace_bytes() != workspace_bytes_) {
    CLOISTER_RETURN_IF_ERROR(ResizeWorkspace(copy_->workspace_bytes()));
  }
  if (cgroups_ == nullptr) return absl::OkStatus();
  return JoinCgroup(copy_.has_value() ? copy_->limits() : spec.default_limits(),
                    processes);
}

absl::Status LiveSandbox::JoinCgroup(const internal::v1::CgroupLimits& limits,
                                     const Processes& processes) {
  limits_ = limits;
  CLOISTER_ASSIGN_OR_RETURN(cgroup_, cgroups_->Acquire(WithShadow(limits)));
  CLOISTER_RETURN_IF_ERROR(cgroup_->Attach(host_pid_));
  // The kernel charges memory to the group of the process that made the address space, and files in memory
  // to that of the process that writes them.
  for (const UniqueFd* other : {&processes.shadow, &processes.file_copier}) {
    if (!*other) continue;
    CLOISTER_ASSIGN_OR_RETURN(const pid_t pid, PidOfPidfd(other->get()));
    CLOISTER_RETURN_IF_ERROR(cgroup_->Attach(pid));
  }
  // One process has a clock of its own, which costs less to read; more have the group's, if any.
  const absl::StatusOr<int64_t> cpu =
      may_have_children_ ? cgroup_->CpuNanoseconds() : absl::UnimplementedError("not wanted");
  if (cpu.ok()) cpu_baseline_ = *cpu;
  // Without a memory controller there is nothing to count.
  oom_kill_baseline_ = cgroup_->OomKillCount().value_or(0);
  return absl::OkStatus();
}

internal::v1::CgroupLimits LiveSandbox::WithShadow(const internal::v1::CgroupLimits& limits) const {
  constexpr int kProcessesOfCopy = 2;  // the first process and its shadow
  internal::v1::CgroupLimits changed = limits;
  if (limits.process_count() > 0) {
    changed.set_process_count(limits.process_count() + (has_shadow_ ? 1 : 0) +
                              kProcessesOfCopy * copies_ + static_cast<int64_t>(members_.size()));
  }
  return changed;
}

void LiveSandbox::ChangeCopies(int change) {
  copies_ += change;
  RenewLimits();
}

void LiveSandbox::Join(LiveSandbox& home) {
  home_ = &home;
  home_->members_.insert(id_);
  home_->RenewLimits();
}

void LiveSandbox::Leave() {
  if (home_ == nullptr) return;
  home_->members_.erase(id_);
  if (!home_->is_ending()) home_->RenewLimits();
}

void LiveSandbox::RenewLimits() {
  if (cgroup_ == nullptr) return;
  const absl::Status status = cgroup_->SetLimits(WithShadow(limits_));
  if (!status.ok()) fprintf(stderr, "cloister-spawner: %s\n", status.ToString().c_str());
}

void LiveSandbox::Describe(internal::v1::SandboxCreated* created) const {
  created->set_sandbox_id(id_);
  created->set_host_pid(host_pid_);
  created->set_oom_kill_baseline(whole().oom_kill_baseline_);
  created->set_shares_user(!whole().init_);
}

absl::StatusOr<std::vector<UniqueFd>> LiveSandbox::OpenCgroupFiles() const {
  std::vector<UniqueFd> files;
  Cgroup* const group = whole().cgroup_.get();
  if (group == nullptr || !cgroups_->Available("memory").ok()) return files;
  CLOISTER_ASSIGN_OR_RETURN(UniqueFd peak, group->OpenPeakFile());
  files.push_back(std::move(peak));
  if (whole().cpu_baseline_.has_value()) {
    CLOISTER_ASSIGN_OR_RETURN(UniqueFd cpu, group->OpenCpuFile());
    files.push_back(std::move(cpu));
  }
  if (home_ != nullptr) {
    CLOISTER_ASSIGN_OR_RETURN(UniqueFd usage, group->OpenUsageFile());
    files.push_back(std::move(usage));
    CLOISTER_ASSIGN_OR_RETURN(UniqueFd stat, group->OpenMemoryStatFile());
    files.push_back(std::move(stat));
  }
  // Those with a shadow live for long, and thousands beside one another.
  if (whole().has_shadow_) group->Rest();
  return files;
}

void LiveSandbox::Signal(int signal) {
  if (first_process_) (void)SignalPidfd(first_process_.get(), signal);
}

absl::Status LiveSandbox::SetLimits(const internal::v1::CgroupLimits& limits,
                                    int64_t workspace_bytes) {
  if (home_ != nullptr) return absl::FailedPreconditionError("its sandbox has the limits");
  limits_ = limits;
  if (cgroup_ != nullptr) CLOISTER_RETURN_IF_ERROR(cgroup_->SetLimits(WithShadow(limits)));
  if (workspace_bytes <= 0 || workspace_bytes == workspace_bytes_) return absl::OkStatus();
  return ResizeWorkspace(workspace_bytes);
}

absl::Status LiveSandbox::ResizeWorkspace(int64_t bytes) {
  if (!init_) return absl::OkStatus();  // the scratch directory has no size of its own
  CLOISTER_ASSIGN_OR_RETURN(const pid_t pid, PidOfPidfd(init_.get()));
  // Through the init, whose root no guest code can have changed.
  for (const char* directory : {"/workspace", "/tmp"}) {
    CLOISTER_RETURN_IF_ERROR(ResizeTmpfs(absl::StrCat("/proc/", pid, "/root", directory), bytes));
  }
  workspace_bytes_ = bytes;
  return absl::OkStatus();
}

void LiveSandbox::BeginTeardown(std::function<void()> on_end) {
  if (is_ending()) return;
  ending_since_ = MonotonicNanoseconds();
  // The init's end takes everything along. Killing the first process beside it lets both die at
  // once instead of one after the other.
  (void)SignalPidfd(first_process_.get(), SIGKILL);
  if (!init_) return;
  (void)SignalPidfd(init_.get(), SIGKILL);
  init_watch_ = poller_.Watch(init_.get(), EPOLLIN, [this, on_end = std::move(on_end)](uint32_t) {
    StopWatching();
    init_gone_ = true;
    on_end();
  });
}

void LiveSandbox::OnZygoteGone() {
  // With the nursery, every process of the template has ended, the init included. Where there is
  // none, the kernel kills the first process, which takes it a moment.
  if (!init_ && first_process_) EndFirstProcess();
  init_gone_ = true;
  if (child_exited_.has_value()) return;
  // Nobody was there to reap it: how it ended is not known, and wait_code 0 says so.
  child_exited_.emplace();
}

void LiveSandbox::EndFirstProcess() {
  (void)SignalPidfd(first_process_.get(), SIGKILL);
  pollfd ended = {first_process_.get(), POLLIN, 0};
  while (poll(&ended, 1, -1) < 0 && errno == EINTR) {
  }
}

internal::v1::SandboxExited LiveSandbox::Finish() {
  internal::v1::SandboxExited exited;
  exited.set_sandbox_id(id_);
  exited.set_wait_code(child_exited_->wait_code());
  exited.set_wait_status(child_exited_->wait_status());
  exited.set_cpu_nanoseconds(child_exited_->cpu_nanoseconds());
  if (cgroup_ != nullptr) ReadCgroup(&exited);
  if (home_ != nullptr) DescribeMember(&exited);
  if (is_ending()) exited.set_teardown_nanoseconds(MonotonicNanoseconds() - ending_since_);
  return exited;
}

void LiveSandbox::DescribeMember(internal::v1::SandboxExited* exited) {
  // Without a wait_code it ended with its zygote, and so did its sandbox.
  exited->set_with_sandbox(home_->is_ending() || exited->wait_code() == 0);
  if (home_->cgroup_ == nullptr) return;
  exited->set_peak_memory_bytes(home_->cgroup_->PeakBytes().value_or(0));
  const bool was_killed = exited->wait_code() == CLD_KILLED && exited->wait_status() == SIGKILL;
  if (was_killed && !exited->with_sandbox() && home_->TakeOomKill()) exited->set_oom_kill_count(1);
}

bool LiveSandbox::TakeOomKill() {
  const int64_t count = cgroup_->OomKillCount().value_or(oom_kill_baseline_);
  if (count <= oom_kill_baseline_) return false;
  ++oom_kill_baseline_;
  return true;
}

void LiveSandbox::ReadCgroup(internal::v1::SandboxExited* exited) {
  exited->set_peak_memory_bytes(cgroup_->PeakBytes().value_or(0));
  if (cpu_baseline_.has_value()) {
    const int64_t used = cgroup_->CpuNanoseconds().value_or(0) - *cpu_baseline_;
    exited->set_cpu_nanoseconds(std::max(exited->cpu_nanoseconds(), used));
  }
  exited->set_oom_kill_count(cgroup_->OomKillCount().value_or(oom_kill_baseline_) -
                             oom_kill_baseline_);
  // Without a pid namespace, what the first process started may have outlived it: that is killed here.
  const absl::Status status = cgroups_->Release(std::move(cgroup_));
  if (!status.ok()) fprintf(stderr, "cloister-spawner: %s\n", status.ToString().c_str());
}

void LiveSandbox::StopWatching() { poller_.Forget(std::exchange(init_watch_, 0)); }

}  // namespace cloister::sandbox
