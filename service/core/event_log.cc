#include "service/core/event_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"

namespace cloister::core {
namespace {

int64_t Cost(const v1::ExecutionEvent& event) {
  int64_t payload = 0;
  switch (event.event_case()) {
    case v1::ExecutionEvent::kStdout:
      payload = static_cast<int64_t>(event.stdout().size());
      break;
    case v1::ExecutionEvent::kStderr:
      payload = static_cast<int64_t>(event.stderr().size());
      break;
    case v1::ExecutionEvent::kFinished:  // may carry files
      payload = static_cast<int64_t>(event.finished().SpaceUsedLong());
      break;
    default:
      break;
  }
  return payload + EventLog::kEventOverhead;
}

}  // namespace

void EventLog::Append(v1::ExecutionEvent event) {
  event.set_sequence(last_sequence() + 1);
  const int64_t cost = Cost(event);
  entries_.push_back({std::move(event), total_cost_});
  total_cost_ += cost;
  Trim();
}

absl::StatusOr<std::vector<v1::ExecutionEvent>> EventLog::Read(int64_t after_sequence,
                                                               int64_t maximum_cost) const {
  if (absl::Status readable = CheckReadable(after_sequence); !readable.ok()) return readable;
  std::vector<v1::ExecutionEvent> events;
  int64_t cost = 0;
  for (int64_t sequence = after_sequence + 1; sequence <= last_sequence(); ++sequence) {
    cost += CostOf(sequence);
    if (!events.empty() && cost > maximum_cost) break;
    events.push_back(entries_[sequence - first_sequence_].event);
  }
  return events;
}

absl::Status EventLog::CheckReadable(int64_t after_sequence) const {
  if (after_sequence >= first_sequence_ - 1 && after_sequence <= last_sequence()) {
    return absl::OkStatus();
  }
  const std::string message =
      after_sequence > last_sequence()
          ? absl::StrCat("no event has the number ", after_sequence, " yet; the last one is ",
                         last_sequence())
          : absl::StrCat("the events after number ", after_sequence,
                         " are no longer retained; attach after number ", first_sequence_ - 1,
                         " to read what is left");
  return WithMetadata(MakeError(v1::ERROR_REASON_EVENTS_EXPIRED, message), "firstSequence",
                      absl::StrCat(first_sequence_));
}

void EventLog::MarkDelivered(int64_t sequence) {
  delivered_sequence_ = std::max(delivered_sequence_, sequence);
  Trim();
}

int64_t EventLog::CostAfter(int64_t after_sequence) const {
  const int64_t next = std::max(after_sequence + 1, first_sequence_);
  if (next > last_sequence()) return 0;
  return total_cost_ - entries_[next - first_sequence_].cost_before;
}

int64_t EventLog::CostOf(int64_t sequence) const {
  const size_t index = sequence - first_sequence_;
  const int64_t end =
      index + 1 < entries_.size() ? entries_[index + 1].cost_before : total_cost_;
  return end - entries_[index].cost_before;
}

void EventLog::Trim() {
  while (cost() > retained_cost_ && !entries_.empty() && first_sequence_ <= delivered_sequence_) {
    dropped_cost_ += CostOf(first_sequence_);
    entries_.pop_front();
    ++first_sequence_;
  }
}

}  // namespace cloister::core
