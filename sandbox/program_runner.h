// Running one program, without knowing in what: a fresh sandbox, or an interpreter of a live one.
//
// Part of the seam described in sandbox.h; its rules of threads and callbacks hold here.

#ifndef CLOISTER_SANDBOX_PROGRAM_RUNNER_H_
#define CLOISTER_SANDBOX_PROGRAM_RUNNER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cloister/v1/execution.pb.h"
#include "cloister/v1/outcome.pb.h"
#include "cloister/v1/program.pb.h"
#include "sandbox/base/limits.h"
#include "sandbox/guest_program.h"

namespace cloister::sandbox {

enum class OutputStream { kStdout, kStderr };

// Why the host ends an execution of its own accord (its limits it watches by itself).
enum class StopReason {
  kCallerGone,  // cancelled, deadline passed, stream broken
  kInterrupt,   // asked to kill at once
  kShutdown,    // the server stops
  kDeleted,     // its live sandbox was deleted
  kExpired,     // its live sandbox's time was over
  kRestarted,   // its live sandbox was restarted
};

// How an execution ended. `outcome` is complete but for stage_times.queued and .prepared, which the
// service knows.
struct ExecutionEnd {
  // Not OK: the program was never started, through no fault of its own, and the rest is empty. The
  // message is for the log: it may name paths of the host.
  absl::Status status;
  v1::Outcome outcome;
  std::vector<v1::ReturnedFile> files;
  // Where GuestProgram::returns_clone asked for it and there is one: checked, with inline buffers.
  std::string value_clone = {};
  // Of GuestProgram::compile_only, at most MaxCompiledBytes; else empty.
  std::string compiled = {};
};

// Told of one execution. Must outlive it: until OnFinished, or until the Sandbox is destroyed.
class ExecutionObserver {
 public:
  virtual ~ExecutionObserver() = default;

  // A piece of output, at most 64 KiB, already counted against the output limit. `bytes` is valid
  // during the call only.
  virtual void OnOutput(OutputStream stream, std::string_view bytes) = 0;

  // A cell's display, clear_output or input_request: one of these fields is set, nothing else.
  virtual void OnCellEvent(v1::ExecutionEvent /*event*/) {}

  // The end, exactly once, after all output. The sandbox may be destroyed from inside the call. The
  // state of a live sandbox is gone unless outcome.state_preserved is set.
  virtual void OnFinished(ExecutionEnd end) = 0;
};

// Runs programs, one at a time.
class ProgramRunner {
 public:
  virtual ~ProgramRunner() = default;

  // Of the sandbox, for logs; never used twice by one server.
  virtual int64_t id() const = 0;

  // Hands the program over and starts the clocks. `program` is moved into the frame. `limits` are
  // enforced from here on: by the kernel, and by the host's own clock and counters.
  virtual void Run(GuestProgram program, const Limits& limits, ExecutionObserver* observer) = 0;

  // KeyboardInterrupt in the guest, again and again; kills after `grace`. Idempotent; the shortest
  // grace wins. Nothing happens before Run or after the end.
  virtual void Interrupt(absl::Duration grace) = 0;

  // Kills the sandbox now. The end of what runs is still reported, with INTERRUPTED.
  virtual void Stop(StopReason reason) = 0;

  // Stops and resumes reading the guest's output; a guest that goes on writing blocks once its pipe
  // is full. Its wall time goes on.
  virtual void PauseOutput() = 0;
  virtual void ResumeOutput() = 0;

  // Answers the open input_request of the cell that runs. False where none has that number; 0 means
  // whichever is open. Without `text`: the end of the input.
  virtual bool SendInput(int64_t /*request*/, std::optional<std::string> /*text*/) { return false; }
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_PROGRAM_RUNNER_H_
