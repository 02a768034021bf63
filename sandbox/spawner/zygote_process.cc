#include "sandbox/spawner/zygote_process.h"

#include <signal.h>
#include <string.h>
#include <sys/epoll.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/linux/clone.h"

namespace cloister::sandbox {
namespace {

constexpr int kSignalBase = 128;

std::string DescribeExit(absl::StatusOr<int> status) {
  if (!status.ok()) return std::string(status.status().message());
  if (*status > kSignalBase) {
    return absl::StrCat("the zygote was killed by signal ", *status - kSignalBase, " (",
                        strsignal(*status - kSignalBase), ")");
  }
  return absl::StrCat("the zygote exited with status ", *status);
}

}  // namespace

absl::StatusOr<std::unique_ptr<ZygoteProcess>> ZygoteProcess::Start(
    Poller& poller, CgroupManager* cgroups, const internal::v1::Facilities& facilities,
    const std::string& scratch_directory, const internal::v1::StartZygote& request,
    Callbacks callbacks) {
  std::unique_ptr<ZygoteProcess> zygote(
      new ZygoteProcess(poller, request.zygote_id(), request.spec()));
  if (cgroups != nullptr) {
    CLOISTER_ASSIGN_OR_RETURN(zygote->cgroup_,
                              cgroups->MakeNamed(absl::StrCat("zygote-", request.zygote_id()), {}));
  }
  CLOISTER_ASSIGN_OR_RETURN(Nursery nursery, LaunchGuest(facilities, request.spec(),
                                                         {.cgroup = zygote->cgroup_.get(),
                                                          .scratch_directory = scratch_directory,
                                                          .id_block = request.zygote_id()}));
  zygote->nursery_ = std::move(nursery.pidfd);
  zygote->nursery_watch_ =
      poller.Watch(zygote->nursery_.get(), EPOLLIN,
                   [on_exit = std::move(callbacks.on_exit)](uint32_t) { on_exit(); });
  zygote->control_ = std::make_unique<Connection>(poller, std::move(nursery.control),
                                                  std::move(callbacks.on_readable));
  return zygote;
}

ZygoteProcess::~ZygoteProcess() {
  poller_.Forget(nursery_watch_);
  if (!nursery_) return;
  (void)SignalPidfd(nursery_.get(), SIGKILL);
  (void)ReapPidfd(nursery_.get());
}

void ZygoteProcess::Clone(const internal::v1::CreateSandbox& wanted) {
  internal::v1::ZygoteRequest request;
  request.mutable_clone_sandbox()->set_sandbox_id(wanted.sandbox_id());
  request.mutable_clone_sandbox()->set_forkable(wanted.forkable() || spec_.forkable());
  if (control_ != nullptr) control_->Send(request);
}

void ZygoteProcess::Copy(const internal::v1::ForkSandbox& wanted) {
  internal::v1::ZygoteRequest request;
  internal::v1::CopySandbox& copy = *request.mutable_copy_sandbox();
  copy.set_parent_id(wanted.parent_id());
  copy.set_sandbox_id(wanted.sandbox_id());
  *copy.mutable_guest_limits() = wanted.guest_limits();
  copy.set_snapshot(wanted.snapshot());
  if (control_ != nullptr) control_->Send(request);
}

void ZygoteProcess::FinishCopy(int64_t sandbox_id) {
  internal::v1::ZygoteRequest request;
  request.mutable_finish_copy()->set_sandbox_id(sandbox_id);
  if (control_ != nullptr) control_->Send(request);
}

void ZygoteProcess::AddProcess(const internal::v1::AddProcess& wanted, int init) {
  internal::v1::ZygoteRequest request;
  request.mutable_clone_sandbox()->set_sandbox_id(wanted.process_id());
  request.mutable_clone_sandbox()->set_joined_sandbox_id(wanted.sandbox_id());
  if (control_ == nullptr) return;
  control_->Send(request, absl::MakeConstSpan(&init, init < 0 ? 0 : 1));
}

void ZygoteProcess::Retire() {
  if (state_ == State::kStarting) (void)SignalPidfd(nursery_.get(), SIGKILL);
  state_ = State::kRetired;
  internal::v1::ZygoteRequest request;
  request.mutable_retire();
  if (control_ != nullptr) control_->Send(request);
}

void ZygoteProcess::Kill() {
  if (nursery_) (void)SignalPidfd(nursery_.get(), SIGKILL);
}

absl::Status ZygoteProcess::Receive(internal::v1::ZygoteEvent* event,
                                    std::vector<UniqueFd>* descriptors) {
  if (control_ == nullptr) return absl::UnavailableError("the zygote has closed its socket");
  const absl::Status status = control_->Receive(event, descriptors);
  if (absl::IsOutOfRange(status)) control_.reset();
  return status;
}

std::string ZygoteProcess::Reap() {
  poller_.Forget(std::exchange(nursery_watch_, 0));
  std::string description = DescribeExit(ReapPidfd(nursery_.get()));
  nursery_.reset();
  return description;
}

}  // namespace cloister::sandbox
