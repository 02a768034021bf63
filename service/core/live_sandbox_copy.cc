// The part of LiveSandbox that concerns copies: being one, and having its turn when it is copied.

#include <utility>

#include "service/core/live_sandbox.h"

namespace cloister::core {

void LiveSandbox::Adopt(CopiedSession copy, const std::string& parent) {
  parent_ = parent;
  start_requested_ = context_.loop->Now();
  main_->BeginStart();
  ResumeCopy(std::move(copy));
}

absl::Status LiveSandbox::StartFromSnapshot() {
  return context_.snapshots->CopySnapshot(
      spec_.snapshot, spec_.limits,
      [this, alive = std::weak_ptr<char>(alive_)](absl::StatusOr<CopiedSession> copy) {
        if (alive.expired() || state_ != v1::Sandbox::STATE_STARTING) return;
        if (!copy.ok()) return FinishStart(copy.status());
        ResumeCopy(*std::move(copy));
      });
}

void LiveSandbox::ResumeCopy(CopiedSession copy) {
  const auto incarnation =
      std::make_shared<Incarnation>(main_->incarnation_owner(), std::move(copy.sandbox));
  main_->Attach(incarnation, v1::START_KIND_WARM, copy.last_cell, copy.last_history);
  incarnation->sandbox()->ResumeSession(incarnation.get());
  FinishStart(absl::OkStatus());
}

absl::Status LiveSandbox::RequestWork(Work work, absl::Time deadline, Refused refused) {
  if (absl::Status none = further_.CheckNone(); !none.ok()) return none;
  return main_->RequestWork(
      [this, work = std::move(work), refused](std::function<void()> over) {
        BeginWork(work, refused, std::move(over));
      },
      deadline, refused);
}

void LiveSandbox::BeginWork(const Work& work, const Refused& refused, std::function<void()> over) {
  // One may have come since.
  if (const absl::Status none = further_.CheckNone(); !none.ok()) {
    refused(none);
    return over();
  }
  const std::shared_ptr<Incarnation> incarnation = main_->incarnation();
  further_.SetHome(nullptr);
  work(*incarnation->sandbox(), [this, alive = std::weak_ptr<char>(alive_),
                                 which = std::weak_ptr(incarnation), over = std::move(over)] {
    over();
    const auto still = which.lock();
    const bool goes_on = !alive.expired() && still != nullptr && main_->incarnation() == still;
    if (goes_on) further_.SetHome(still);
  });
}

}  // namespace cloister::core
