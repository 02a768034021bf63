// Waits for how a sandbox's first process ended, once its channel or the process itself has.
//
// Thread-safety: the loop's thread only. Ownership: borrows the sandbox's parts. May be destroyed
// at any time, from inside its function too.

#ifndef CLOISTER_SANDBOX_HOST_EXIT_WATCH_H_
#define CLOISTER_SANDBOX_HOST_EXIT_WATCH_H_

#include <functional>
#include <optional>

#include "absl/time/time.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/host/outcome_classifier.h"
#include "sandbox/host/sandbox_parts.h"

namespace cloister::sandbox {

class ExitWatch {
 public:
  // How long a process may outlive its channel: the time between the two ends of an ordinary exit.
  static constexpr absl::Duration kChannelGrace = absl::Milliseconds(200);
  // How long the spawner may take to report the end of a process.
  static constexpr absl::Duration kExitTimeout = absl::Seconds(10);

  explicit ExitWatch(SandboxParts* parts) : parts_(parts) {}
  ExitWatch(const ExitWatch&) = delete;
  ExitWatch& operator=(const ExitWatch&) = delete;
  ~ExitWatch() { parts_->loop->Cancel(timer_); }

  // What the spawner reported; before or after Await.
  void OnExited(const internal::v1::SandboxExited& exit);

  // The channel has ended: calls `done` once with `stop`, `stop_detail` and `exit` filled in,
  // inline where the report is there already. Kills a process that goes on.
  void Await(std::function<void(Observation)> done);

  const std::optional<internal::v1::SandboxExited>& exit() const { return exit_; }

 private:
  void OnOverdue();
  void Report();
  void LookAgainAfter(absl::Duration delay);

  SandboxParts* const parts_;
  std::function<void(Observation)> done_;
  HostStop cause_ = HostStop::kNone;  // why the process was killed
  bool is_forced_ = false;            // by a kill, when kChannelGrace had passed
  std::optional<internal::v1::SandboxExited> exit_;
  Loop::TimerId timer_ = 0;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_EXIT_WATCH_H_
