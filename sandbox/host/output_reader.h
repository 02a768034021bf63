// Reads what the guest writes to its stdout and stderr, counts it against one budget, and hands it
// on.
//
// Thread-safety: the loop's thread only.
// Ownership: owns the read ends. The observer must outlive the reading. Both the observer and the
// overflow function may destroy the reader.
// Units: bytes.

#ifndef CLOISTER_SANDBOX_HOST_OUTPUT_READER_H_
#define CLOISTER_SANDBOX_HOST_OUTPUT_READER_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/host/asio_loop.h"
#include "sandbox/host/fd_watcher.h"
#include "sandbox/sandbox.h"

namespace cloister::sandbox {

class OutputReader {
 public:
  // What becomes of output past the limit.
  enum class PastLimit {
    kStop,     // nothing is read any more
    kDiscard,  // it is read and counted, so that the guest can go on
  };

  // What came of one stream.
  struct Count {
    int64_t delivered = 0;
    int64_t truncated = 0;  // written, and seen, but past the limit
  };

  OutputReader(AsioLoop* loop, UniqueFd stdout_fd, UniqueFd stderr_fd);
  OutputReader(const OutputReader&) = delete;
  OutputReader& operator=(const OutputReader&) = delete;

  // As FdWatcher::Open, for both.
  absl::Status Open();

  // Reads from here on, with new counts; after Finish again. `on_overflow` is called, once and as
  // the last thing, when the guest wrote more than `limit` in all; what is within the limit was
  // delivered by then.
  void Start(int64_t limit, ExecutionObserver* observer, PastLimit past_limit,
             std::function<void()> on_overflow);

  void Pause();
  void Resume();

  // Delivers what the pipes hold at this moment, paused or not (that is bounded by the pipes'
  // size), and ends the reading. Calls no overflow function.
  void Finish();

  bool paused() const { return paused_; }
  bool overflowed() const { return overflowed_; }
  // When the first byte was read; InfinitePast where there was none.
  absl::Time first_output() const { return first_output_; }
  const Count& count(OutputStream stream) const { return pipe(stream).count; }

 private:
  struct Pipe {
    Pipe(AsioLoop* loop, UniqueFd fd, OutputStream stream)
        : watcher(loop, std::move(fd)), stream(stream) {}
    FdWatcher watcher;
    const OutputStream stream;
    bool open = true;
    Count count;
  };
  // What a single read did.
  enum class ReadResult { kData, kNothing, kDestroyed };

  const Pipe& pipe(OutputStream stream) const {
    return stream == OutputStream::kStdout ? stdout_ : stderr_;
  }
  void Await(Pipe* pipe);
  void OnReadable(Pipe* pipe);
  // Reads at most `size` bytes once and delivers what the budget allows.
  ReadResult ReadOnce(Pipe* pipe, size_t size);
  ReadResult Drain(Pipe* pipe);

  AsioLoop* const loop_;
  Pipe stdout_;
  Pipe stderr_;
  PastLimit past_limit_ = PastLimit::kStop;
  bool reading_ = false;
  bool paused_ = false;
  bool overflowed_ = false;
  int64_t budget_ = 0;
  ExecutionObserver* observer_ = nullptr;
  std::function<void()> on_overflow_;
  absl::Time first_output_ = absl::InfinitePast();
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with the object
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_OUTPUT_READER_H_
