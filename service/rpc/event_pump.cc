#include "service/rpc/event_pump.h"

#include <utility>

#include "absl/time/clock.h"
#include "service/base/proto_time.h"

namespace cloister::rpc {

void EventPump::Start(std::unique_ptr<core::Subscription> subscription) {
  if (ended_) return;
  subscription_ = std::move(subscription);
  last_write_ = loop_->Now();
  ScheduleKeepAlive();
  Pump();
}

void EventPump::Fail(absl::Status status) {
  if (ended_) return;
  subscription_.reset();
  StopTimer();
  if (writing_) {
    failure_ = std::move(status);
  } else {
    End(status);
  }
}

void EventPump::OnWritten(bool ok) {
  writing_ = false;
  if (!failure_.ok()) return End(failure_);
  if (!ok) return Fail(absl::CancelledError("the connection is broken"));
  Pump();
}

void EventPump::Pump() {
  if (fetching_ || writing_ || ended_ || subscription_ == nullptr) return;
  if (next_ == fetched_.size() && !Fetch()) return;
  Write(std::move(fetched_[next_++]));
}

bool EventPump::Fetch() {
  fetching_ = true;  // reading may tell listeners, this one included
  auto events = subscription_->Read(kReadBytes);
  fetching_ = false;
  if (!events.ok()) {
    Fail(events.status());
    return false;
  }
  if (events->empty()) return false;
  fetched_ = *std::move(events);
  next_ = 0;
  return true;
}

void EventPump::Write(v1::ExecutionEvent event) {
  last_write_ = loop_->Now();
  const bool last = event.has_finished();
  if (last) {
    ended_ = true;
    StopTimer();
    subscription_.reset();
  } else {
    writing_ = true;
  }
  sink_->Write(std::move(event), last);
}

void EventPump::End(const absl::Status& status) {
  ended_ = true;
  StopTimer();
  sink_->Finish(status);
}

void EventPump::ScheduleKeepAlive() {
  const absl::Duration quiet = loop_->Now() - last_write_;
  timer_ = loop_->CallAfter(keep_alive_interval_ - quiet, [this] {
    timer_ = 0;
    OnQuiet();
  });
}

void EventPump::OnQuiet() {
  if (!writing_ && loop_->Now() - last_write_ >= keep_alive_interval_) {
    v1::ExecutionEvent event;
    *event.mutable_time() = base::ToProto(absl::Now());
    event.mutable_keep_alive();
    Write(std::move(event));
  } else if (writing_) {
    last_write_ = loop_->Now();  // a reader this slow is not in need of keep-alives
  }
  ScheduleKeepAlive();
}

void EventPump::StopTimer() {
  if (timer_ != 0) loop_->Cancel(timer_);
  timer_ = 0;
}

}  // namespace cloister::rpc
