#include "sandbox/host/output_reader.h"

#include <sys/ioctl.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "sandbox/base/status_macros.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kPieceBytes = size_t{64} << 10;

// How much a pipe holds; 0 where it cannot be told.
size_t BytesWaiting(int fd) {
  int waiting = 0;
  if (::ioctl(fd, FIONREAD, &waiting) != 0 || waiting < 0) return 0;
  return static_cast<size_t>(waiting);
}

}  // namespace

OutputReader::OutputReader(AsioLoop* loop, UniqueFd stdout_fd, UniqueFd stderr_fd)
    : loop_(loop),
      stdout_(loop, std::move(stdout_fd), OutputStream::kStdout),
      stderr_(loop, std::move(stderr_fd), OutputStream::kStderr) {}

absl::Status OutputReader::Open() {
  CLOISTER_RETURN_IF_ERROR(stdout_.watcher.Open());
  return stderr_.watcher.Open();
}

void OutputReader::Start(int64_t limit, ExecutionObserver* observer, PastLimit past_limit,
                         std::function<void()> on_overflow) {
  budget_ = limit;
  past_limit_ = past_limit;
  paused_ = false;
  overflowed_ = false;
  first_output_ = absl::InfinitePast();
  stdout_.count = stderr_.count = Count();
  observer_ = observer;
  on_overflow_ = std::move(on_overflow);
  reading_ = true;
  Await(&stdout_);
  Await(&stderr_);
}

void OutputReader::Pause() {
  paused_ = true;
  stdout_.watcher.CancelReadable();
  stderr_.watcher.CancelReadable();
}

void OutputReader::Resume() {
  paused_ = false;
  Await(&stdout_);
  Await(&stderr_);
}

void OutputReader::Await(Pipe* pipe) {
  if (!reading_ || paused_ || !pipe->open) return;
  pipe->watcher.WaitReadable([this, pipe] { OnReadable(pipe); });
}

void OutputReader::OnReadable(Pipe* pipe) {
  if (ReadOnce(pipe, kPieceBytes) == ReadResult::kDestroyed) return;
  if (!reading_) return;
  if (!overflowed_ || past_limit_ == PastLimit::kDiscard) {
    Await(pipe);
  } else {
    reading_ = false;
    Pause();
  }
  auto function = overflowed_ ? std::exchange(on_overflow_, nullptr) : nullptr;
  if (function != nullptr) function();  // may destroy this
}

OutputReader::ReadResult OutputReader::ReadOnce(Pipe* pipe, size_t size) {
  // On the stack: the observer may do anything meanwhile, also read another sandbox's output.
  char piece[kPieceBytes];
  ssize_t got;
  do {
    got = ::read(pipe->watcher.fd(), piece, std::min(size, sizeof(piece)));
  } while (got < 0 && errno == EINTR);
  if (got < 0 && errno == EAGAIN) return ReadResult::kNothing;
  if (got <= 0) {
    pipe->open = false;
    return ReadResult::kNothing;
  }
  if (first_output_ == absl::InfinitePast()) first_output_ = loop_->Now();
  const int64_t allowed = std::min<int64_t>(got, budget_);
  budget_ -= allowed;
  pipe->count.delivered += allowed;
  pipe->count.truncated += got - allowed;
  overflowed_ |= allowed < got;
  if (allowed == 0) return ReadResult::kData;
  const std::weak_ptr<char> alive = alive_;
  observer_->OnOutput(pipe->stream, std::string_view(piece, static_cast<size_t>(allowed)));
  return alive.expired() ? ReadResult::kDestroyed : ReadResult::kData;
}

OutputReader::ReadResult OutputReader::Drain(Pipe* pipe) {
  if (!pipe->open) return ReadResult::kNothing;
  // A guest that goes on writing does not keep us here: only what was there at first is read.
  size_t waiting = BytesWaiting(pipe->watcher.fd());
  // What is left in the pipe of a session would be taken for the next cell's.
  const bool discard = past_limit_ == PastLimit::kDiscard;
  while (waiting > 0 && (discard || !overflowed_)) {
    const int64_t before = pipe->count.delivered + pipe->count.truncated;
    const ReadResult result = ReadOnce(pipe, waiting);
    if (result != ReadResult::kData) return result;
    const int64_t read = pipe->count.delivered + pipe->count.truncated - before;
    waiting -= std::min(waiting, static_cast<size_t>(read));
  }
  if (overflowed_ && !discard) pipe->count.truncated += static_cast<int64_t>(waiting);
  return ReadResult::kData;
}

void OutputReader::Finish() {
  const bool started = observer_ != nullptr;
  reading_ = false;
  on_overflow_ = nullptr;
  stdout_.watcher.CancelReadable();
  stderr_.watcher.CancelReadable();
  if (!started) return;
  if (Drain(&stdout_) == ReadResult::kDestroyed) return;
  if (Drain(&stderr_) == ReadResult::kDestroyed) return;
  observer_ = nullptr;
}

}  // namespace cloister::sandbox
