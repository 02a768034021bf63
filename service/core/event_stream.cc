#include "service/core/event_stream.h"

#include <algorithm>
#include <utility>

namespace cloister::core {

EventStream::EventStream(const EventStreamOptions& options, std::function<void(bool)> on_pause)
    : options_(options), on_pause_(std::move(on_pause)), log_(options.retained_bytes) {}

void EventStream::Append(v1::ExecutionEvent event) {
  log_.Append(std::move(event));
  UpdatePace();
}

void EventStream::Close() { closed_ = true; }

absl::Status EventStream::Join(Reader* reader) {
  if (reader->role == ReaderRole::kOwner) {
    reader->cursor = log_.first_sequence() - 1;
  } else if (absl::Status readable = log_.CheckReadable(reader->cursor); !readable.ok()) {
    return readable;
  }
  readers_.push_back(reader);
  UpdatePace();
  return absl::OkStatus();
}

bool EventStream::Leave(Reader* reader) {
  readers_.erase(std::remove(readers_.begin(), readers_.end(), reader), readers_.end());
  UpdatePace();
  return reader->role == ReaderRole::kOwner && !HasOwner();
}

absl::StatusOr<std::vector<v1::ExecutionEvent>> EventStream::Read(Reader* reader,
                                                                  int64_t maximum_bytes) {
  auto events = log_.Read(reader->cursor, maximum_bytes);
  if (!events.ok() || events->empty()) return events;
  reader->cursor = events->back().sequence();
  foremost_cursor_ = std::max(foremost_cursor_, reader->cursor);
  log_.MarkDelivered(PacingCursor());
  UpdatePace();
  return events;
}

void EventStream::Notify() {
  // A listener may leave, or make others leave, while it is told.
  const std::vector<Reader*> told = readers_;
  for (Reader* reader : told) {
    if (std::find(readers_.begin(), readers_.end(), reader) == readers_.end()) continue;
    reader->listener->OnProgress();
  }
}

bool EventStream::HasOwner() const {
  return std::any_of(readers_.begin(), readers_.end(),
                     [](const Reader* reader) { return reader->role == ReaderRole::kOwner; });
}

int64_t EventStream::PacingCursor() const {
  if (!HasOwner()) return foremost_cursor_;
  int64_t slowest = log_.last_sequence();
  for (const Reader* reader : readers_) {
    if (reader->role == ReaderRole::kOwner) slowest = std::min(slowest, reader->cursor);
  }
  return slowest;
}

void EventStream::UpdatePace() {
  if (closed_) return;
  const int64_t high = HasOwner() ? options_.high_watermark_bytes : options_.retained_bytes;
  const int64_t unread = log_.CostAfter(PacingCursor());
  if (!paused_ && unread > high) {
    paused_ = true;
    on_pause_(true);
  } else if (paused_ && unread <= high / 2) {
    paused_ = false;
    on_pause_(false);
  }
}

}  // namespace cloister::core
