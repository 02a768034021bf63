// A live sandbox's files, from the host's side: starts the process that serves them when it is
// first needed, asks it one thing at a time, and believes nothing it says. One that is lost, is
// stuck or lies is ended; the next request starts another.
//
//   none ─▶ starting ─▶ opening ─▶ serving ─▶ none
//
// Thread-safety: the loop's thread only.
// Ownership: owns the process. May be destroyed at any time, from inside a callback too; what is
// asked is forgotten then.

#ifndef CLOISTER_SANDBOX_HOST_HOST_FILES_H_
#define CLOISTER_SANDBOX_HOST_HOST_FILES_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/host/asio_loop.h"
#include "sandbox/host/guest_channel.h"
#include "sandbox/sandbox.h"

namespace cloister::sandbox {

// A process of a sandbox that waits for its first frame. Destroying it ends it, and it alone.
class FileProcess {
 public:
  virtual ~FileProcess() = default;
  virtual GuestChannel& channel() = 0;
  virtual internal::v1::GuestLimits limits() const = 0;
  // Whether so much more may be used of the sandbox's memory, in which its files lie.
  virtual bool HasMemoryFor(int64_t bytes) const = 0;
};

class HostFiles {
 public:
  // How long a request may take, and the start of the process beside it.
  static constexpr absl::Duration kRequestTimeout = absl::Seconds(10);
  // Descriptors of the process: its open files, the levels of a recursive walk, and some.
  static constexpr int64_t kProcessDescriptors = 128;

  // Makes a process; answers once, never inline.
  using ProcessCallback = std::function<void(absl::StatusOr<std::unique_ptr<FileProcess>>)>;
  using MakeProcess = std::function<void(ProcessCallback)>;

  HostFiles(AsioLoop* loop, MakeProcess make) : loop_(loop), make_(std::move(make)) {}
  HostFiles(const HostFiles&) = delete;
  HostFiles& operator=(const HostFiles&) = delete;
  ~HostFiles();

  // As Sandbox::AccessFiles.
  void Ask(internal::v1::FileRequest request, Sandbox::FileCallback done);

  // Has nothing done from `held` (once, inline where nothing is under way) until Release: somebody
  // copies the files.
  // One at a time.
  void Hold(std::function<void()> held);
  void Release();

 private:
  struct Question {
    internal::v1::FileRequest request;
    Sandbox::FileCallback done;
  };
  enum class Phase { kNone, kStarting, kOpening, kServing };

  void Serve();
  void Start();
  void OnMade(absl::StatusOr<std::unique_ptr<FileProcess>> made);
  void Send(const internal::v1::HostFrame& frame);
  void AwaitFrame();
  void OnFrame(GuestChannel::FrameOrError frame);
  void OnReply(internal::v1::FileReply reply);
  // The process is of no use any more; what it was asked gets `why`.
  void Lose(const absl::Status& why);
  void Finish(absl::StatusOr<internal::v1::FileReply> result);
  void FailAll(const absl::Status& why);
  void SetTimer();
  void CancelTimer();

  AsioLoop* const loop_;
  const MakeProcess make_;
  Phase phase_ = Phase::kNone;
  std::unique_ptr<FileProcess> process_;
  std::deque<Question> questions_;  // the first is under way while is_asked_
  bool is_asked_ = false;
  int64_t last_number_ = 0;
  bool is_held_ = false;
  std::function<void()> on_held_;
  Loop::TimerId timer_ = 0;
  const std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with the object
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_HOST_FILES_H_
