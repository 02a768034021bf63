// The numbered events of one execution, bounded: what readers may still ask for.

#ifndef CLOISTER_SERVICE_CORE_EVENT_LOG_H_
#define CLOISTER_SERVICE_CORE_EVENT_LOG_H_

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/status/statusor.h"
#include "cloister/v1/execution.pb.h"

namespace cloister::core {

// Keeps every event nobody has read, and of the others the newest within a bound.
//
// Thread-safety: none. Units: the cost of an event is its payload plus kEventOverhead, so that a
// million one-byte events are not counted as one megabyte.
class EventLog {
 public:
  static constexpr int64_t kEventOverhead = 128;

  // `retained_cost`: what delivered events may cost at most before the oldest go.
  explicit EventLog(int64_t retained_cost) : retained_cost_(retained_cost) {}

  // Gives the event the next sequence number, starting from 1.
  void Append(v1::ExecutionEvent event);

  // The events after `after_sequence`, as many as cost `maximum_cost` together, but one at least if
  // there is any. Errors: EVENTS_EXPIRED where the next one is gone, and for a number never given.
  absl::StatusOr<std::vector<v1::ExecutionEvent>> Read(int64_t after_sequence,
                                                       int64_t maximum_cost) const;

  // OK, or the error Read would give.
  absl::Status CheckReadable(int64_t after_sequence) const;

  // All up to `sequence` may be dropped once the bound asks for it. Never goes back.
  void MarkDelivered(int64_t sequence);

  // Of the events after `after_sequence` that are retained.
  int64_t CostAfter(int64_t after_sequence) const;

  // The first one retained; last_sequence() + 1 where there is none.
  int64_t first_sequence() const { return first_sequence_; }
  // 0 before the first.
  int64_t last_sequence() const {
    return first_sequence_ + static_cast<int64_t>(entries_.size()) - 1;
  }
  int64_t cost() const { return total_cost_ - dropped_cost_; }

 private:
  struct Entry {
    v1::ExecutionEvent event;
    int64_t cost_before;  // of all events ever appended before this one
  };

  int64_t CostOf(int64_t sequence) const;
  void Trim();

  const int64_t retained_cost_;
  std::deque<Entry> entries_;
  int64_t first_sequence_ = 1;
  int64_t delivered_sequence_ = 0;
  int64_t total_cost_ = 0;
  int64_t dropped_cost_ = 0;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_EVENT_LOG_H_
