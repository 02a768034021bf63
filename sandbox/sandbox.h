// What the service needs of sandboxes, without knowing how they are made: the seam between service/
// and sandbox/. Implemented by sandbox/host over the spawner, and by a fake in unit tests.
//
// Everything here lives on one Loop thread: calls are made there and callbacks arrive there, never
// inline from the call that caused them.

#ifndef CLOISTER_SANDBOX_SANDBOX_H_
#define CLOISTER_SANDBOX_SANDBOX_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "cloister/v1/outcome.pb.h"
#include "cloister/v1/program.pb.h"
#include "sandbox/base/limits.h"

namespace cloister::sandbox {

enum class OutputStream { kStdout, kStderr };

// Why the host ends an execution of its own accord (its limits it watches by itself).
enum class StopReason {
  kCallerGone,  // cancelled, deadline passed, stream broken
  kInterrupt,   // asked to kill at once
  kShutdown,    // the server stops
};

// How an execution ended. `outcome` is complete but for stage_times.queued and .prepared, which the
// service knows.
struct ExecutionEnd {
  // Not OK: the program was never started, through no fault of its own, and the rest is empty. The
  // message is for the log: it may name paths of the host.
  absl::Status status;
  v1::Outcome outcome;
  std::vector<v1::ReturnedFile> files;
};

// Told of one execution. Must outlive it: until OnFinished, or until the Sandbox is destroyed.
class ExecutionObserver {
 public:
  virtual ~ExecutionObserver() = default;

  // A piece of output, at most 64 KiB, already counted against the output limit. `bytes` is valid
  // during the call only.
  virtual void OnOutput(OutputStream stream, std::string_view bytes) = 0;

  // The end, exactly once, after all output. The sandbox may be destroyed from inside the call.
  virtual void OnFinished(ExecutionEnd end) = 0;
};

// One never-used, confined interpreter that waits for its program.
//
// Ownership: destroying it, at any time, ends everything inside; the factory sees to the rest.
class Sandbox {
 public:
  virtual ~Sandbox() = default;

  // For logs; never used twice by one server.
  virtual int64_t id() const = 0;

  // Hands the program over and starts the clocks. Once only. `program` is moved into the frame.
  // `limits` are enforced from here on: by the kernel, and by the host's own clock and counters.
  virtual void Run(v1::Program program, const Limits& limits, ExecutionObserver* observer) = 0;

  // First rung of the ladder: KeyboardInterrupt in the guest; kills after `grace`. Idempotent; the
  // shortest grace wins. Nothing happens before Run or after the end.
  virtual void Interrupt(absl::Duration grace) = 0;

  // Kills now. The end is still reported, with INTERRUPTED.
  virtual void Stop(StopReason reason) = 0;

  // Stops and resumes reading the guest's output; a guest that goes on writing blocks once its pipe
  // is full. Its wall time goes on.
  virtual void PauseOutput() = 0;
  virtual void ResumeOutput() = 0;
};

// What a zygote told when it became ready.
struct ZygoteInfo {
  int64_t zygote_id = 0;
  std::string python_version;
  absl::Duration warm_up;
};

// What was seen of a sandbox's whole life, reported when nothing is left of it.
struct SandboxExit {
  int64_t sandbox_id = 0;
  int64_t peak_memory_bytes = 0;
  absl::Duration cpu_time;
  absl::Duration teardown;
};

// Told of what happens outside executions. All calls on the loop thread.
class SandboxFactoryObserver {
 public:
  virtual ~SandboxFactoryObserver() = default;

  // The zygote is gone; its sandboxes may still live or be reported lost one by one. `reason` is
  // empty where it was asked to stop.
  virtual void OnZygoteExited(int64_t zygote_id, const std::string& reason) = 0;

  // A sandbox that has not been given a program died. Its Sandbox object should be destroyed.
  virtual void OnIdleSandboxLost(int64_t sandbox_id) = 0;

  // Nothing of the sandbox is left. Also for sandboxes whose object was destroyed long before.
  virtual void OnSandboxGone(const SandboxExit& exit) = 0;

  // The spawner is gone: nothing can be made or torn down any more.
  virtual void OnSpawnerLost(const std::string& reason) = 0;
};

// Makes zygotes and sandboxes. Owned by the server, used by the pool.
class SandboxFactory {
 public:
  using ZygoteCallback = std::function<void(absl::StatusOr<ZygoteInfo>)>;
  using SandboxCallback = std::function<void(absl::StatusOr<std::unique_ptr<Sandbox>>)>;

  virtual ~SandboxFactory() = default;

  // What the spawner's probe found on this machine.
  virtual const internal::v1::Facilities& facilities() const = 0;

  // Not owned; null for none.
  virtual void SetObserver(SandboxFactoryObserver* observer) = 0;

  // Starts a zygote and returns its id at once; `done` follows when it can be cloned, or with
  // UNAVAILABLE (spawner lost) or FAILED_PRECONDITION (what failed and the remedy).
  virtual int64_t StartZygote(const internal::v1::ZygoteSpec& spec, ZygoteCallback done) = 0;

  // The zygote clones no more and ends with its last sandbox.
  virtual void StopZygote(int64_t zygote_id) = 0;

  // Clones a sandbox; `done` follows when it is confined and waits for a program. Errors: NOT_FOUND
  // (no such zygote), UNAVAILABLE (zygote or spawner lost), INTERNAL (which step failed),
  // DEADLINE_EXCEEDED (it did not become ready in 10 s).
  virtual void CreateSandbox(int64_t zygote_id, SandboxCallback done) = 0;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_SANDBOX_H_
