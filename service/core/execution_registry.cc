#include "service/core/execution_registry.h"

#include <utility>

namespace cloister::core {

ExecutionRegistry::ExecutionRegistry(sandbox::Loop* loop, RetentionOptions options)
    : loop_(loop), options_(options) {}

ExecutionRegistry::~ExecutionRegistry() { loop_->Cancel(expiry_timer_); }

void ExecutionRegistry::Add(std::shared_ptr<Execution> execution) {
  if (!execution->request_id().empty()) by_request_id_[execution->request_id()] = execution;
  by_name_[execution->name()] = std::move(execution);
}

void ExecutionRegistry::Remove(const Execution& execution) {
  const auto found = by_name_.find(execution.name());
  if (found == by_name_.end()) return;
  // Lives until both maps have forgotten it: their keys are looked up by its own strings.
  const std::shared_ptr<Execution> keep_alive = std::move(found->second);
  by_name_.erase(found);
  by_request_id_.erase(keep_alive->request_id());
}

void ExecutionRegistry::Retire(const Execution& execution) {
  std::shared_ptr<Execution> retired = FindByName(execution.name());
  if (retired == nullptr) return;
  const int64_t bytes = execution.retained_bytes();
  retired_.push_back({std::move(retired), loop_->Now() + options_.time, bytes});
  retired_bytes_ += bytes;
  while (!retired_.empty() &&
         (retired_.size() > options_.count || retired_bytes_ > options_.bytes)) {
    DropOldest();
  }
  ScheduleExpiry();
}

std::shared_ptr<Execution> ExecutionRegistry::FindByName(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

std::shared_ptr<Execution> ExecutionRegistry::FindByRequestId(const std::string& request_id) const {
  const auto found = by_request_id_.find(request_id);
  return found == by_request_id_.end() ? nullptr : found->second;
}

void ExecutionRegistry::DropOldest() {
  const Retired oldest = std::move(retired_.front());
  retired_.pop_front();
  retired_bytes_ -= oldest.bytes;
  Remove(*oldest.execution);
}

void ExecutionRegistry::Expire() {
  expiry_timer_ = 0;
  const absl::Time now = loop_->Now();
  while (!retired_.empty() && retired_.front().expiry <= now) DropOldest();
  ScheduleExpiry();
}

void ExecutionRegistry::ScheduleExpiry() {
  if (expiry_timer_ != 0 || retired_.empty()) return;
  expiry_timer_ =
      loop_->CallAfter(retired_.front().expiry - loop_->Now(), [this] { Expire(); });
}

}  // namespace cloister::core
