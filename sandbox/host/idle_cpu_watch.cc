#include "sandbox/host/idle_cpu_watch.h"

#include <algorithm>
#include <utility>

namespace cloister::sandbox {

void IdleCpuWatch::Begin() {
  End();
  at_begin_ = parts_->meter.CpuTime();
  LookLater();
}

void IdleCpuWatch::LookLater() {
  timer_ = parts_->loop->CallAfter(std::clamp(budget_, kShortestInterval, kLongestInterval),
                                   [this] { Look(); });
}

void IdleCpuWatch::End() { parts_->loop->Cancel(std::exchange(timer_, 0)); }

void IdleCpuWatch::Look() {
  timer_ = 0;
  const absl::Duration used = parts_->meter.CpuTime() - at_begin_;
  if (used > budget_) return exceeded_(used);
  LookLater();
}

}  // namespace cloister::sandbox
