// An execution's events and those who read them: who is told, what is kept, and when a slow reader has
// to stop the guest.
//
// There are two kinds of reader. Owners asked for the execution (RunCode, Execute, or a repetition of
// either); they set the pace, and when the last one leaves the execution may have to end. Followers
// attached to it: one that falls behind loses events (EVENTS_EXPIRED) and holds nobody up, unless
// there is no owner left; then the foremost reader sets the pace.

#ifndef CLOISTER_SERVICE_CORE_EVENT_STREAM_H_
#define CLOISTER_SERVICE_CORE_EVENT_STREAM_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "cloister/v1/execution.pb.h"
#include "service/core/event_log.h"

namespace cloister::core {

// Told, on the loop, that there is more to read or that the execution ended. Called from inside the
// cause and possibly several times for one thing: cheap, idempotent. May read and may end its own
// subscription; must not start executions.
class ExecutionListener {
 public:
  virtual ~ExecutionListener() = default;
  virtual void OnProgress() = 0;
};

enum class ReaderRole { kOwner, kFollower };

struct EventStreamOptions {
  // What events that were read may cost before the oldest go; and how far a program that nobody
  // watches may run ahead.
  int64_t retained_bytes = int64_t{1} << 20;
  // Unread events beyond this pause the guest's output; at half of it the output resumes.
  int64_t high_watermark_bytes = int64_t{256} << 10;
};

// Thread-safety: loop thread only. Ownership: readers are unowned and must leave before they die.
class EventStream {
 public:
  // One reader's place in the stream.
  struct Reader {
    ExecutionListener* listener;
    ReaderRole role;
    int64_t cursor;  // the last sequence read
  };

  // `on_pause` is called with true when readers fall behind, with false when they have caught up.
  EventStream(const EventStreamOptions& options, std::function<void(bool)> on_pause);

  void Append(v1::ExecutionEvent event);

  // No event follows; pacing is over.
  void Close();

  // `reader` must stay where it is until Leave. Errors: EVENTS_EXPIRED.
  absl::Status Join(Reader* reader);
  // Returns whether it was the last owner.
  bool Leave(Reader* reader);

  // The next events of `reader`, as EventLog::Read; empty when there is none yet.
  absl::StatusOr<std::vector<v1::ExecutionEvent>> Read(Reader* reader, int64_t maximum_bytes);

  // Tells every reader.
  void Notify();

  const EventLog& log() const { return log_; }
  bool paused() const { return paused_; }

 private:
  bool HasOwner() const;
  // The sequence up to which events count as read.
  int64_t PacingCursor() const;
  void UpdatePace();

  const EventStreamOptions options_;
  const std::function<void(bool)> on_pause_;
  EventLog log_;
  std::vector<Reader*> readers_;
  int64_t foremost_cursor_ = 0;
  bool paused_ = false;
  bool closed_ = false;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_EVENT_STREAM_H_
