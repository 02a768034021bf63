// Where an execution gets its turn in a live interpreter: what core::Execution needs of live
// sandboxes.

#ifndef CLOISTER_SERVICE_CORE_TURN_SOURCE_H_
#define CLOISTER_SERVICE_CORE_TURN_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cloister/v1/execution.pb.h"
#include "cloister/v1/notebook.pb.h"
#include "sandbox/base/limits.h"
#include "sandbox/sandbox.h"

namespace cloister::core {

// What a caller wants of a live interpreter beside the program.
struct CellRequest {
  v1::CellOptions options;
  bool allow_input = false;
  // Unset ones are the sandbox's.
  std::optional<absl::Duration> wall_time;
  std::optional<absl::Duration> cpu_time;
  std::optional<int64_t> output_bytes;

  sandbox::Limits ApplyTo(sandbox::Limits limits) const {
    limits.wall_time = wall_time.value_or(limits.wall_time);
    limits.cpu_time = cpu_time.value_or(limits.cpu_time);
    limits.output_bytes = output_bytes.value_or(limits.output_bytes);
    return limits;
  }
};

// The interpreter, for one program. Dropping it, after the program's end, lets the next one have
// its turn.
struct Turn {
  std::unique_ptr<sandbox::ProgramRunner> runner = nullptr;
  v1::StartKind start_kind = v1::START_KIND_UNSPECIFIED;
  // From the request until now.
  absl::Duration waited = {};
  // 0 for a cell that leaves no history.
  int64_t execution_count = 0;
};

// Thread-safety: loop thread only.
class TurnSource {
 public:
  // Names a pending request; never 0.
  using Ticket = uint64_t;
  using TurnCallback = std::function<void(absl::StatusOr<Turn>)>;

  virtual ~TurnSource() = default;

  // Limits of the sandbox.
  virtual const sandbox::Limits& limits() const = 0;

  // Asks for the interpreter; `done` follows, never inline, exactly once unless abandoned. Requests
  // are served in the order they came. `execution` is the name of who asks; `deadline` is on the
  // loop's clock.
  //
  // Refused at once, with `done` not called: SANDBOX_LOST, EXECUTION_QUEUE_FULL, NOT_STARTED
  // (deadline passed already). Through `done`: NOT_STARTED, SANDBOX_LOST, SANDBOX_NOT_FOUND,
  // SANDBOX_EXPIRED, SERVER_DRAINING.
  virtual absl::StatusOr<Ticket> RequestTurn(const std::string& execution, CellRequest cell,
                                             absl::Time deadline, TurnCallback done) = 0;

  // Asks the interpreter, in its turn; `done` follows, never inline, exactly once unless abandoned.
  // Refused at once, and through `done`: as RequestTurn. Through `done` also LOOKUP_FAILED.
  virtual absl::StatusOr<Ticket> Ask(sandbox::NotebookQuestion question, absl::Time deadline,
                                     sandbox::NotebookCallback done) = 0;

  // OK while it gives turns; else what RequestTurn refuses with.
  virtual absl::Status CheckThere() const = 0;

  // Forgets a pending request; `done` is not called any more. A past ticket is ignored.
  virtual void AbandonTurn(Ticket ticket) = 0;
};

// Finds live interpreters by name.
class InterpreterDirectory {
 public:
  virtual ~InterpreterDirectory() = default;

  // `sandboxes/{sandbox}` or `sandboxes/{sandbox}/interpreters/{interpreter}`. Errors:
  // SANDBOX_NOT_FOUND, SANDBOX_EXPIRED, INTERPRETER_NOT_FOUND.
  virtual absl::StatusOr<std::shared_ptr<TurnSource>> FindInterpreter(const std::string& name) = 0;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_TURN_SOURCE_H_
