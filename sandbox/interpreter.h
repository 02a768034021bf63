// Interpreters of live sandboxes: sessions of cells, and what a notebook asks between them.
//
// Part of the seam described in sandbox.h; its rules of threads and callbacks hold here.

#ifndef CLOISTER_SANDBOX_INTERPRETER_H_
#define CLOISTER_SANDBOX_INTERPRETER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/internal/v1/interpreters.pb.h"
#include "cloister/v1/execution.pb.h"
#include "cloister/v1/notebook.pb.h"
#include "cloister/v1/outcome.pb.h"
#include "cloister/v1/program.pb.h"
#include "sandbox/base/limits.h"
#include "sandbox/mailbox.h"
#include "sandbox/program_runner.h"

namespace cloister::sandbox {

// What a live sandbox begins with. Of the limits, memory_bytes, process_count, open_file_count,
// file_bytes and workspace_bytes hold for its whole life.
struct SessionSpec {
  Limits limits;
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<v1::File> files;
  // Imported before it is open; of further interpreters only.
  std::vector<std::string> imports = {};
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

// What a notebook asks between cells; `interpreter` is left empty. The code's length and the cursor
// are checked before.
using NotebookQuestion =
    std::variant<v1::CompleteRequest, v1::InspectRequest, v1::CheckCompleteRequest>;
using NotebookAnswer =
    std::variant<v1::CompleteResponse, v1::InspectResponse, v1::CheckCompleteResponse>;
// Errors: UNKNOWN (looking at the user's objects raised; the message is the guest's),
// DEADLINE_EXCEEDED (it took too long and was interrupted), UNAVAILABLE (the sandbox ended).
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

// Runs cells one after another, and answers a notebook's questions between them: one interpreter's
// session.
class CellRunner : public ProgramRunner {
 public:
  // Whenever nothing runs: as Run, in the module __main__ that cells share. Of the limits,
  // wall_time, cpu_time and output_bytes count. Past one the cell is interrupted, and killed only
  // where that is not answered.
  virtual void RunCell(CellSettings settings, GuestProgram program, const Limits& limits,
                       ExecutionObserver* observer) = 0;

  // Whenever nothing runs and nothing else is asked. `done` follows, once, unless the runner is
  // destroyed before. Takes 4 s at most: a question that no interrupt ends costs the interpreter
  // (OnLost).
  virtual void Ask(NotebookQuestion question, NotebookCallback done) = 0;

  // Once it is open, whatever runs.
  virtual Mailbox& mailbox() = 0;
};

enum class InterpreterProfile { kIsolated, kSharedGil, kProcess };

// What a further interpreter of a live sandbox begins with.
struct InterpreterSpec {
  InterpreterProfile profile = InterpreterProfile::kIsolated;
  // What it may allocate before MemoryError; 0: its sandbox's limit alone. Not for kProcess.
  int64_t memory_bytes = 0;
  std::vector<std::pair<std::string, std::string>> environment;
  // Imported before it is handed over.
  std::vector<std::string> imports;
};

// A further interpreter of a live sandbox, its session open. Its loss, or its process's, is told to
// its SessionObserver and leaves the rest of the sandbox as it was; the loss of the sandbox is told
// to each of its interpreters, after the sandbox's own.
//
// Ownership: destroying it ends it, by a kill of its process where nothing milder helps in time.
// Not to outlive its Sandbox.
class Interpreter : public CellRunner {
 public:
  // By the guest's account, when the last cell ended; zero where the cgroup counts (kProcess).
  virtual internal::v1::InterpreterMemory memory() const = 0;

  // Ends it in good order: interrupts what runs, joins its threads, gives its memory back. `done`
  // follows once, unless it is destroyed before: OK, or DEADLINE_EXCEEDED where it did not end in
  // time and its process was killed, and with it the other interpreters there.
  virtual void End(std::function<void(const absl::Status&)> done) = 0;
};

// What became of a wish for an interpreter.
struct CreatedInterpreter {
  // Null where it could not be made.
  std::unique_ptr<Interpreter> interpreter;
  // FAILED_PRECONDITION with `import_failed`: one of the imports. UNIMPLEMENTED: this image's
  // Python does not offer the profile. RESOURCE_EXHAUSTED: it does not fit into the sandbox's
  // limits. UNAVAILABLE: the sandbox ended. CANCELLED: it was abandoned. INTERNAL: for the log.
  absl::Status status;
  std::optional<internal::v1::ImportFailed> import_failed;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_INTERPRETER_H_
