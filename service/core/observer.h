// What metrics and logs are told by the core and the pool. Every hook does nothing unless
// overridden, so that nothing below knows who listens.

#ifndef CLOISTER_SERVICE_CORE_OBSERVER_H_
#define CLOISTER_SERVICE_CORE_OBSERVER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cloister/v1/execution.pb.h"
#include "cloister/v1/interpreter.pb.h"
#include "cloister/v1/outcome.pb.h"
#include "cloister/v1/sandbox.pb.h"
#include "sandbox/sandbox.h"
#include "service/core/pool_state.h"

namespace cloister::core {

// Where an execution runs: in a fresh sandbox, or in a live one.
enum class ExecutionKind { kOneShot, kCell };

// Why a live sandbox is no more. kFailed: its creation did not succeed.
enum class LiveEnd { kDeleted, kTtl, kIdleTimeout, kDrain, kFailed };

// The verdict on a new request. kAccept: a ready sandbox was there; kQueue: it waits; kShed:
// refused.
enum class Admission { kAccept, kQueue, kShed };

enum class LeaseFailure { kExhausted, kOverloaded, kDeadline, kDraining, kSetup, kAbandoned };

// Why a sandbox left the pool.
enum class RecycleReason { kUsed, kAge, kRotated, kLost, kScaleDown, kDrain };

enum class ZygoteEnd {
  kRotated,  // replaced after its number of forks or its age
  kStopped,  // the server stops
  kCrashed,  // died by itself
};

// kStopped: ended within the grace time; kEscalated: had to be killed; kTooLate: ended on its own
// account (a result, a limit) before the interrupt took effect.
enum class InterruptResult { kStopped, kEscalated, kTooLate };

// As the interpreter sees it: kIn from a client, kOut to one.
enum class MessageDirection { kIn, kOut };

// What became of a call of a client's function. kClosed: the client went; kCancelled: the caller did.
enum class HostCallResult { kReturned, kRaised, kTimedOut, kCancelled, kClosed, kNotOffered };

enum class ReplayResult { kJoined, kReused };  // kReused: REQUEST_ID_REUSED
enum class ReattachResult { kAttached, kNotFound, kExpired };

// One ended execution, for counters and for the log line. References are valid during the call.
struct ExecutionRecord {
  ExecutionKind kind = ExecutionKind::kOneShot;
  const std::string& name;
  const std::string& request_id;
  const std::string& template_name;
  // The live interpreter's name; empty for a fresh sandbox.
  const std::string& interpreter;
  int64_t sandbox_id = 0;  // 0: never had one
  v1::StartKind start_kind = v1::START_KIND_UNSPECIFIED;
  // Admission until the sandbox was leased, or until the request failed.
  absl::Duration queued = absl::ZeroDuration();
  // OK: `outcome` says how it ended. Otherwise the service could not run it.
  const absl::Status& status;
  // What callers are not told of a sandbox that could not be made ready: may name paths of the
  // host.
  const std::string& setup_error;
  const v1::Outcome& outcome;
  // As ExecutionRequest.
  bool is_inner = false;
};

// Thread-safety: called on the loop thread only; must return quickly and must not call back.
class ServiceObserver {
 public:
  virtual ~ServiceObserver() = default;

  // Pool. `pool` is the template's name.
  virtual void OnPoolState(const std::string& /*pool*/, const PoolState& /*state*/) {}
  // The same of the pool that the template's live sandboxes come from, where it is one apart.
  virtual void OnLivePoolState(const std::string& /*pool*/, const PoolState& /*state*/) {}
  virtual void OnAdmission(const std::string& /*pool*/, Admission /*decision*/) {}
  virtual void OnLeased(const std::string& /*pool*/, v1::StartKind /*start*/,
                        absl::Duration /*waited*/) {}
  virtual void OnLeaseFailed(const std::string& /*pool*/, LeaseFailure /*reason*/) {}
  virtual void OnRecycled(const std::string& /*pool*/, RecycleReason /*reason*/) {}
  virtual void OnSandboxStarted(const std::string& /*pool*/, absl::Duration /*took*/) {}
  virtual void OnSandboxStartFailed(const std::string& /*pool*/, const absl::Status& /*why*/) {}
  virtual void OnSandboxGone(const std::string& /*pool*/, const sandbox::SandboxExit& /*exit*/) {}
  virtual void OnZygoteStarted(const std::string& /*pool*/, const sandbox::ZygoteInfo& /*info*/) {}
  virtual void OnZygoteStartFailed(const std::string& /*pool*/, const absl::Status& /*why*/) {}
  virtual void OnZygoteEnded(const std::string& /*pool*/, ZygoteEnd /*how*/,
                             const std::string& /*reason*/) {}
  virtual void OnSpawnerLost(const std::string& /*reason*/) {}

  // Live sandboxes. UNSPECIFIED stands for "is not there": a new one comes from it, an ended one goes to
  // it.
  virtual void OnLiveState(v1::Sandbox::State /*from*/, v1::Sandbox::State /*to*/) {}
  virtual void OnLiveStarted(const std::string& /*sandbox*/, const std::string& /*pool*/,
                             v1::StartKind /*start*/, absl::Duration /*took*/) {}
  // `why` is for the log only.
  virtual void OnLiveSetupFailed(const std::string& /*sandbox*/, const absl::Status& /*why*/) {}
  virtual void OnLiveRestarted(const std::string& /*sandbox*/) {}
  virtual void OnLiveLost(const std::string& /*sandbox*/, v1::Outcome::Kind /*cause*/,
                          const std::string& /*detail*/) {}
  virtual void OnLiveEnded(const std::string& /*sandbox*/, LiveEnd /*how*/) {}

  // Interpreters of live sandboxes, `main` among them; states as with OnLiveState.
  virtual void OnInterpreterState(v1::Interpreter::Profile /*profile*/,
                                  v1::Interpreter::State /*from*/, v1::Interpreter::State /*to*/) {
  }
  // Further ones only.
  virtual void OnInterpreterStarted(const std::string& /*interpreter*/,
                                    v1::Interpreter::Profile /*profile*/, absl::Duration /*took*/) {
  }
  // `why` is for the log only.
  virtual void OnInterpreterSetupFailed(const std::string& /*interpreter*/,
                                        const absl::Status& /*why*/) {}
  virtual void OnInterpreterLost(const std::string& /*interpreter*/,
                                 v1::Interpreter::Profile /*profile*/, v1::Outcome::Kind /*cause*/,
                                 const std::string& /*detail*/) {}
  // What they hold by the guests' own account, over all interpreters of that profile.
  virtual void OnInterpreterMemory(v1::Interpreter::Profile /*profile*/, int64_t /*change*/) {}

  // Executions. Queued = OnExecutionAccepted without OnExecutionStarted or OnExecutionEnded yet.
  virtual void OnExecutionAccepted(ExecutionKind /*kind*/) {}
  virtual void OnExecutionStarted(ExecutionKind /*kind*/, absl::Duration /*queued*/) {}
  // Outcome.usage and stage_times hold durations, cpu, peak memory, output and truncated bytes.
  virtual void OnExecutionEnded(const ExecutionRecord& /*record*/) {}
  virtual void OnInterrupted(InterruptResult /*result*/, absl::Duration /*took*/) {}
  virtual void OnReplay(ReplayResult /*result*/) {}
  virtual void OnReattach(ReattachResult /*result*/) {}
  // Messages between clients and interpreters, and calls of clients' functions.
  virtual void OnMessage(MessageDirection /*direction*/, size_t /*bytes*/) {}
  virtual void OnHostCall(HostCallResult /*result*/, absl::Duration /*took*/) {}
  virtual void OnClientConnected(int /*change*/) {}
  // A reader fell behind and the guest's output was paused; bytes buffered over all executions.
  virtual void OnStreamStalled() {}
  virtual void OnBufferedBytes(int64_t /*change*/) {}
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_OBSERVER_H_
