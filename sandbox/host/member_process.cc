#include "sandbox/host/member_process.h"

#include <utility>

#include "sandbox/base/status_macros.h"

namespace cloister::sandbox {

absl::StatusOr<std::unique_ptr<MemberProcess>> MemberProcess::Create(
    AsioLoop* loop, SandboxControl* control, const internal::v1::SandboxCreated& created,
    std::vector<UniqueFd> descriptors) {
  CLOISTER_RETURN_IF_ERROR(CheckDescriptors(descriptors));
  std::unique_ptr<MemberProcess> member(
      new MemberProcess(loop, control, created, std::move(descriptors)));
  CLOISTER_RETURN_IF_ERROR(OpenParts(&member->parts_));
  return member;
}

MemberProcess::~MemberProcess() { parts_.control->OnDestroyed(parts_.id); }

void MemberProcess::SetUser(User* user) {
  user_ = user;
  if (user == nullptr || !exit_.has_value()) return;
  parts_.loop->Post([this, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired() && user_ != nullptr) user_->OnExited(*exit_);
  });
}

void MemberProcess::AwaitReady(std::function<void(absl::Status)> ready) {
  parts_.channel.AwaitFrame([ready = std::move(ready)](const GuestChannel::FrameOrError& frame) {
    ready(ReadyStatus(frame));
  });
}

void MemberProcess::OnSignaled() {
  --parts_.unanswered_signals;
  if (user_ != nullptr) user_->OnSignaled();
}

void MemberProcess::OnExited(const internal::v1::SandboxExited& exit) {
  // What became of its sandbox is told first, by that.
  if (exit.with_sandbox()) return;
  exit_ = exit;
  if (user_ != nullptr) user_->OnExited(exit);  // may destroy this
}

void MemberProcess::OnSandboxEnded(HostStop stop, const std::string& detail) {
  // An end that was told stays what it was.
  if (user_ != nullptr && !exit_.has_value()) user_->OnSandboxEnded(stop, detail);
}

}  // namespace cloister::sandbox
