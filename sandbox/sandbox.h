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
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "cloister/v1/execution.pb.h"
#include "cloister/v1/notebook.pb.h"
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
  virtual void Run(v1::Program program, const Limits& limits, ExecutionObserver* observer) = 0;

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
  virtual bool SendInput(int64_t /*request*/, std::optional<std::string> /*text*/) {
    return false;
  }
};

// What a live sandbox begins with. Of the limits, memory_bytes, process_count, open_file_count,
// file_bytes and workspace_bytes hold for its whole life.
struct SessionSpec {
  Limits limits;
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<v1::File> files;
};

// What runs a cell beside its program.
struct CellSettings {
  // Rising from 1 within the session.
  int64_t number = 0;
  // 0 for a cell that leaves no history.
  int64_t execution_count = 0;
  bool allow_input = false;
  v1::CellOptions options = {};
};

// What a notebook asks between cells; `interpreter` is left empty. The code's length and the cursor are
// checked before.
using NotebookQuestion =
    std::variant<v1::CompleteRequest, v1::InspectRequest, v1::CheckCompleteRequest>;
using NotebookAnswer =
    std::variant<v1::CompleteResponse, v1::InspectResponse, v1::CheckCompleteResponse>;
// Errors: UNKNOWN (looking at the user's objects raised; the message is the guest's), DEADLINE_EXCEEDED
// (it took too long and was interrupted), UNAVAILABLE (the sandbox ended).
using NotebookCallback = std::function<void(absl::StatusOr<NotebookAnswer>)>;

// Told of a live sandbox. Must outlive the Sandbox.
class SessionObserver {
 public:
  virtual ~SessionObserver() = default;

  // Once: its limits, environment and files are in place, or why not (RESOURCE_EXHAUSTED: they do
  // not fit into the limits; INTERNAL otherwise). After an error the sandbox is to be destroyed.
  virtual void OnOpened(const absl::Status& status) = 0;

  // It ended while nothing ran in it, `how` as of an execution. To be destroyed. One that ends with
  // an execution is told by that execution's end.
  virtual void OnLost(const v1::Outcome& how) = 0;

  // What an earlier cell left behind has written or shown; `execution` is not set.
  virtual void OnLateOutput(int64_t cell, v1::LateOutput output) = 0;
};

// What copies of a live sandbox get.
struct ForkSpec {
  // Of each, as in SessionSpec.
  Limits limits;
  int count = 1;
  // Copies that never run: of the result only Fork may be called.
  bool snapshot = false;
};

// One never-used, confined interpreter that waits for its program, or for a session.
//
// Ownership: destroying it, at any time, ends everything inside; the factory sees to the rest.
class Sandbox : public ProgramRunner {
 public:
  // Instead of Run: makes it live on between executions. Once only.
  virtual void OpenSession(SessionSpec spec, SessionObserver* observer) = 0;

  // After OnOpened, whenever nothing runs: as Run, in the module __main__ that cells share. Of the
  // limits, wall_time, cpu_time and output_bytes count. Past one the cell is interrupted, and the
  // sandbox killed only where that is not answered.
  virtual void RunCell(CellSettings settings, v1::Program program, const Limits& limits,
                       ExecutionObserver* observer) = 0;

  // After OnOpened, whenever nothing runs and nothing else is asked. `done` follows, once, unless the
  // Sandbox is destroyed before. Takes 4 s at most: a question that no interrupt ends costs the sandbox
  // (OnLost).
  virtual void Ask(NotebookQuestion question, NotebookCallback done) = 0;

  // All copies, or none.
  using ForkCallback =
      std::function<void(absl::StatusOr<std::vector<std::unique_ptr<Sandbox>>>)>;

  // After OnOpened, whenever nothing runs: copies it, memory and files. Nothing may run until `done`,
  // which comes once unless the sandbox is destroyed before. Errors: FAILED_PRECONDITION (what in it
  // cannot be copied, for the user), UNIMPLEMENTED (its zygote's sandboxes are not made to be
  // copied), INTERNAL (for the log), UNAVAILABLE (it was lost).
  virtual void Fork(const ForkSpec& /*spec*/, ForkCallback done) {
    done(absl::UnimplementedError("it was not made to be copied"));
  }

  // Instead of OpenSession, for what Fork made: its session is open already. Numbers of cells go on
  // rising from its parent's.
  virtual void ResumeSession(SessionObserver* /*observer*/) {}
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

  // A sandbox that has been given neither a program nor a session died. Its Sandbox object should
  // be destroyed.
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
  // UNAVAILABLE (spawner lost), FAILED_PRECONDITION (what failed and the remedy), or
  // INVALID_ARGUMENT (the spec is at fault and another attempt would fail as well).
  virtual int64_t StartZygote(const internal::v1::ZygoteSpec& spec, ZygoteCallback done) = 0;

  // The zygote clones no more and ends with its last sandbox.
  virtual void StopZygote(int64_t zygote_id) = 0;

  // The zygote ends at once, and every sandbox of it: for one that does not answer.
  virtual void AbortZygote(int64_t zygote_id) = 0;

  // Clones a sandbox; `done` follows when it is confined and waits for a program. Errors: NOT_FOUND
  // (no such zygote), UNAVAILABLE (zygote or spawner lost), INTERNAL (which step failed),
  // DEADLINE_EXCEEDED (it did not become ready in 10 s).
  virtual void CreateSandbox(int64_t zygote_id, SandboxCallback done) = 0;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_SANDBOX_H_
