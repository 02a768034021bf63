// The part of LiveSandbox that concerns copies: being one, and having its turn when it is copied.

#include <utility>

#include "service/core/live_sandbox.h"

namespace cloister::core {

void LiveSandbox::Adopt(CopiedSession copy, const std::string& parent) {
  parent_ = parent;
  start_requested_ = context_.loop->Now();
  SetState(v1::Sandbox::STATE_STARTING);
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
  start_kind_ = v1::START_KIND_WARM;
  IncarnationOwner* const self = this;  // private to make_shared
  incarnation_ = std::make_shared<Incarnation>(self, std::move(copy.sandbox));
  last_cell_ = copy.last_cell;
  last_history_ = copy.last_history;
  recent_executions_.clear();
  late_.clear();
  late_bytes_ = 0;
  incarnation_->sandbox().ResumeSession(incarnation_.get());
  FinishStart(absl::OkStatus());
}

absl::Status LiveSandbox::RequestWork(Work work, absl::Time deadline, Refused refused) {
  TurnQueue::Waiter waiter;
  waiter.done = [refused = std::move(refused)](absl::StatusOr<Turn> turn) {
    refused(turn.status());
  };
  waiter.work = std::move(work);
  return Enqueue(std::move(waiter), deadline).status();
}

void LiveSandbox::BeginWork(TurnQueue::Waiter waiter) {
  SetState(v1::Sandbox::STATE_BUSY);
  work_refused_ = [done = std::move(waiter.done)](const absl::Status& why) { done(why); };
  const int64_t number = ++work_number_;
  waiter.work(incarnation_->sandbox(), [this, number, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired() && number == work_number_ && work_refused_ != nullptr) EndWork();
  });
}

void LiveSandbox::EndWork() {
  work_refused_ = nullptr;
  last_used_ = context_.loop->Now();
  SetState(v1::Sandbox::STATE_READY);
  ScheduleExpiry();
  ServeSoon();
}

void LiveSandbox::RefuseWork(const absl::Status& why) {
  if (auto refused = std::exchange(work_refused_, nullptr)) refused(why);
}

}  // namespace cloister::core
