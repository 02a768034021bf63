// What the service needs of sandboxes, without knowing how they are made: the seam between service/
// and sandbox/. Implemented by sandbox/host over the spawner, and by a fake in unit tests. Its
// parts: program_runner.h (one program), interpreter.h (sessions of cells), and here the sandbox
// and its maker.
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
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cloister/internal/v1/file_access.pb.h"
#include "cloister/internal/v1/spawner.pb.h"
#include "sandbox/base/limits.h"
#include "sandbox/interpreter.h"
#include "sandbox/named_channel.h"
#include "sandbox/program_runner.h"

namespace cloister::sandbox {

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
class Sandbox : public CellRunner {
 public:
  // Instead of Run: makes it live on between executions. Once only; RunCell and Ask from OnOpened
  // on. A cell past its limits that no interrupt ends costs the sandbox.
  virtual void OpenSession(SessionSpec spec, SessionObserver* observer) = 0;

  // All copies, or none.
  using ForkCallback = std::function<void(absl::StatusOr<std::vector<std::unique_ptr<Sandbox>>>)>;

  // After OnOpened, whenever nothing runs: copies it, memory and files. Nothing may run until
  // `done`, which comes once unless the sandbox is destroyed before. Errors: FAILED_PRECONDITION
  // (what in it cannot be copied, for the user), UNIMPLEMENTED (its zygote's sandboxes are not made
  // to be copied), INTERNAL (for the log), UNAVAILABLE (it was lost).
  virtual void Fork(const ForkSpec& /*spec*/, ForkCallback done) {
    done(absl::UnimplementedError("it was not made to be copied"));
  }

  // Instead of OpenSession, for what Fork made: its session is open already. Numbers of cells go on
  // rising from its parent's.
  virtual void ResumeSession(SessionObserver* /*observer*/) {}

  // Of what Fork made: what it held in memory beyond what its zygote held, when it was made. 0
  // where nobody could see it.
  virtual int64_t copied_bytes() const { return 0; }

  // After OnOpened, whatever runs: makes a further interpreter in it. `observer` as in OpenSession,
  // but without OnOpened; it outlives the interpreter. `done` follows, never inline, once, unless
  // the sandbox is destroyed before. Returns its number, for AbandonInterpreter.
  using InterpreterCallback = std::function<void(CreatedInterpreter)>;
  virtual int64_t CreateInterpreter(InterpreterSpec /*spec*/, SessionObserver* /*observer*/,
                                    InterpreterCallback done) {
    done({.interpreter = nullptr,
          .status = absl::UnimplementedError("no further interpreters"),
          .import_failed = std::nullopt});
    return 0;
  }

  // Nobody wants that interpreter any more. What there is of it is ended, and `done` follows
  // without one: soon, or when the process it would have shared has begun. Too late is no error.
  virtual void AbandonInterpreter(int64_t /*number*/) {}

  // After OnOpened, whatever runs: asks the process that serves its files, which the first call
  // starts. Requests are served in the order they came, whatever their number; at most a MiB of
  // data each. `done` follows, never inline, once, unless the sandbox is destroyed before; a reply
  // with an error_number is OK here. Errors: UNAVAILABLE (the process or the sandbox was lost; open
  // handles are gone, the next call starts another), INTERNAL (for the log).
  using FileCallback = std::function<void(absl::StatusOr<internal::v1::FileReply>)>;
  virtual void AccessFiles(internal::v1::FileRequest /*request*/, FileCallback done) {
    done(absl::UnimplementedError("no access to files"));
  }

  // After OnOpened: the channel of this name, for an interpreter of it; made where there is none.
  // It ends with the sandbox. Errors: INVALID_ARGUMENT (name or capacity), FAILED_PRECONDITION (it
  // has another capacity), RESOURCE_EXHAUSTED (no room for another one).
  virtual absl::StatusOr<NamedChannel> OpenChannel(const std::string& /*name*/,
                                                   std::optional<uint32_t> /*capacity*/) {
    return absl::ResourceExhaustedError("no channels with names");
  }

  // From here on the name means nothing; who has opened it goes on using it. NOT_FOUND.
  virtual absl::Status RemoveChannel(const std::string& /*name*/) {
    return absl::NotFoundError("no channels with names");
  }
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

  // When that zygote last made a process, for whomever: until then it was alive.
  virtual absl::Time LastClone(int64_t zygote_id) const = 0;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_SANDBOX_H_
