// The other ends of everything sandbox/host holds, in the test's own hands: the spawner's socket,
// and for each sandbox a channel, two pipes and a real process that does nothing.
//
// One thread does both sides: the test speaks as spawner and guest with calls that do not wait,
// then lets the loop run until something is true.

#ifndef CLOISTER_TESTS_UNIT_SANDBOX_HOST_FAKE_SPAWNER_H_
#define CLOISTER_TESTS_UNIT_SANDBOX_HOST_FAKE_SPAWNER_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "cloister/internal/v1/guest.pb.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/host/asio_loop.h"
#include "sandbox/sandbox.h"
#include "sandbox/wire/packet_socket.h"

namespace cloister::sandbox {

// Runs the loop until `done` returns true; fails the test, and returns false, after 10 s.
bool RunUntil(AsioLoop* loop, const std::function<bool()>& done);

// A guest: the far ends, and a process to be killed or told to exit. Reaps it when destroyed.
class FakeGuest {
 public:
  // What its process does, from BeginWork on.
  enum class Work { kNone, kSpin, kEatMemory };
  // What becomes of channel and pipes when it exits: another process of the sandbox may hold them.
  enum class Ends { kClose, kStayOpen };

  explicit FakeGuest(int64_t sandbox_id, Work work = Work::kNone);
  // Part of another's process, at the guest's ends of a channel, stdout and stderr.
  FakeGuest(int64_t sandbox_id, std::vector<UniqueFd> ends);
  ~FakeGuest();

  // What the spawner sends along, in its order; closed once sent. With `with_cgroup`, `peak` holds
  // 4096.
  std::vector<UniqueFd> TakeHostEnds(bool with_cgroup);

  void Say(const internal::v1::GuestFrame& frame);
  void SayReady();
  void SayFinished(internal::v1::Finished::Kind kind = internal::v1::Finished::KIND_SUCCEEDED);
  void SayRaw(std::string_view bytes);
  void SayWith(const internal::v1::GuestFrame& frame, const std::vector<UniqueFd>& descriptors);
  void CloseChannel() { channel_.reset(); }
  // The next frame, once the host has sent it, with what came beside it. Waits for it.
  internal::v1::HostFrame ReadHostFrame(std::vector<UniqueFd>* descriptors = nullptr);
  // The program in it.
  internal::v1::RunProgram ReadProgram();

  // Whether the host has sent anything.
  bool CanRead() const;

  void Write(std::string_view bytes) { WriteTo(stdout_.get(), bytes); }
  void WriteError(std::string_view bytes) { WriteTo(stderr_.get(), bytes); }
  // Whether a byte can be written to stdout without waiting.
  bool CanWrite() const;
  void CloseOutput();

  void BeginWork();
  // The process's end, waited for; channel and pipes end with it. What the spawner would report.
  internal::v1::SandboxExited Exit(int status, Ends ends = Ends::kClose);
  internal::v1::SandboxExited Die(int signal);

  int64_t sandbox_id() const { return sandbox_id_; }
  pid_t pid() const { return pid_; }

 private:
  static void WriteTo(int fd, std::string_view bytes);
  internal::v1::SandboxExited Reap(Ends ends);

  const int64_t sandbox_id_;
  pid_t pid_ = -1;
  UniqueFd command_;  // a byte written here is the process's exit status, or begins its work
  UniqueFd channel_, stdout_, stderr_;
  UniqueFd host_channel_, host_stdout_, host_stderr_;
};

class FakeSpawner {
 public:
  // `socket` for SpawnerClient; SpawnerReady waits in it.
  FakeSpawner();

  UniqueFd TakeSocket() { return std::move(host_end_); }

  // The next request; fails the test where there is none.
  internal::v1::SpawnerRequest Next();
  // Whether nothing was asked.
  bool Silent();

  void Say(const internal::v1::SpawnerEvent& event, const std::vector<UniqueFd>& fds = {});
  void SayExited(internal::v1::SandboxExited exited);
  // Answers a CreateSandbox request.
  void SayCreated(FakeGuest* guest, bool with_cgroup = true);

  void Die() { socket_.reset(); }

 private:
  UniqueFd socket_;
  UniqueFd host_end_;
};

// Writes down what an execution does.
class RecordingObserver : public ExecutionObserver {
 public:
  void OnOutput(OutputStream stream, std::string_view bytes) override;
  void OnFinished(ExecutionEnd end) override;

  bool finished() const { return finished_; }
  const v1::Outcome& outcome() const { return end_.outcome; }
  const ExecutionEnd& end() const { return end_; }

  std::string out, err;
  size_t longest_piece = 0;
  // Called after the recording.
  std::function<void()> on_output, on_finished;

 private:
  bool finished_ = false;
  ExecutionEnd end_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_TESTS_UNIT_SANDBOX_HOST_FAKE_SPAWNER_H_
