// One run of one program: queued, running, ended.

#ifndef CLOISTER_SERVICE_CORE_EXECUTION_H_
#define CLOISTER_SERVICE_CORE_EXECUTION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cloister/v1/execution.pb.h"
#include "cloister/v1/outcome.pb.h"
#include "sandbox/base/loop.h"
#include "sandbox/sandbox.h"
#include "service/core/event_stream.h"
#include "service/core/execution_request.h"
#include "service/core/observer.h"
#include "service/core/sandbox_source.h"
#include "service/core/turn_source.h"

namespace cloister::core {

class Execution;

// What came of it.
struct ExecutionResult {
  // OK: it ran, `outcome` says how it ended. Otherwise it did not run and the rest is empty.
  absl::Status status;
  v1::Outcome outcome;
  // In kCollect mode only; in kStream mode they are in the events.
  std::string stdout_bytes;
  std::string stderr_bytes;
  std::vector<v1::ReturnedFile> files;
  // Where GuestProgram::returns_clone asked for it.
  std::string value_clone = {};
  // As of sandbox::ExecutionEnd.
  std::string compiled = {};
};

// A reader's part in an execution, which it keeps alive. Destroying it leaves; where the last owner
// leaves an execution that has not ended, OnDisconnect decides.
class Subscription {
 public:
  ~Subscription();
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;

  // The next events, together about `maximum_bytes`; empty when there are none yet. Errors:
  // EVENTS_EXPIRED (a follower that fell behind), or the status of an execution that could not run.
  absl::StatusOr<std::vector<v1::ExecutionEvent>> Read(int64_t maximum_bytes);

  // Whether the execution ended and all its events were read.
  bool AtEnd() const;

  Execution& execution() const { return *execution_; }

 private:
  friend class Execution;
  Subscription(std::shared_ptr<Execution> execution, EventStream::Reader reader)
      : execution_(std::move(execution)), reader_(reader) {}

  const std::shared_ptr<Execution> execution_;
  EventStream::Reader reader_;
};

// Thread-safety: loop thread only.
// Ownership: shared by the manager (while it runs and is retained) and its subscriptions. What
// `Context` names must outlive it.
class Execution final : public std::enable_shared_from_this<Execution>,
                        private sandbox::ExecutionObserver {
 public:
  enum class State { kQueued, kRunning, kEnded };

  struct Context {
    sandbox::Loop* loop;
    SandboxSource* source;
    // The live interpreter to run in; null for a fresh sandbox.
    std::shared_ptr<TurnSource> interpreter;
    ServiceObserver* observer;
    EventStreamOptions stream;
    // Called once, at the end, before readers are told.
    std::function<void(Execution&)> on_ended;
  };

  // How long a program in a live interpreter may take to answer KeyboardInterrupt once nobody waits for
  // it any more.
  static constexpr absl::Duration kCallerGoneGrace = absl::Seconds(2);

  using InterruptCallback = std::function<void(const ExecutionResult&)>;

  Execution(Context context, ExecutionRequest request);
  ~Execution() override;

  // Asks for a sandbox, or for a turn. An error (see SandboxSource::RequestLease and
  // TurnSource::RequestTurn) means that nothing happened and the object is to be dropped.
  absl::Status Start();

  // Owners read from the first retained event on; followers from after `after_sequence`. `listener`
  // is not called inline; look at state() and Read right away. Errors: EVENTS_EXPIRED.
  absl::StatusOr<std::unique_ptr<Subscription>> Subscribe(ExecutionListener* listener,
                                                          ReaderRole role,
                                                          int64_t after_sequence = 0);

  // KeyboardInterrupt, and a kill after `grace`; one that is still queued ends at once. `done`
  // follows at the end, inline where it has ended already. Idempotent. EXECUTION_QUEUE_FULL, with no
  // effect, where as many wait as may.
  absl::Status Interrupt(absl::Duration grace, InterruptCallback done);

  // Answers the input request of that number, 0 for whichever is open. Errors: INPUT_NOT_EXPECTED.
  absl::Status SendInput(int64_t request, std::optional<std::string> text);

  // Ends it now; a live sandbox is interrupted where its caller went away, with kCallerGoneGrace, and
  // killed otherwise. One that is still queued ends with a status: SERVER_DRAINING for kShutdown.
  void Cancel(sandbox::StopReason reason);

  const std::string& name() const { return name_; }  // executions/{id}
  const std::string& request_id() const { return request_.request_id; }
  const std::string& payload_digest() const { return request_.payload_digest; }
  const std::string& template_name() const { return request_.template_name; }
  const sandbox::Limits& limits() const { return request_.limits; }
  ExecutionMode mode() const { return request_.mode; }
  State state() const { return state_; }
  bool ended() const { return state_ == State::kEnded; }
  v1::StartKind start_kind() const { return start_kind_; }
  int64_t sandbox_id() const { return sandbox_id_; }
  // As in Started.
  int64_t execution_count() const { return execution_count_; }
  // Complete once ended().
  const ExecutionResult& result() const { return result_; }
  // What it holds in memory, roughly.
  int64_t retained_bytes() const;

 private:
  friend class Subscription;

  struct PendingInterrupt {
    absl::Time since;
    absl::Duration grace;
  };

  ExecutionKind kind() const { return is_cell_ ? ExecutionKind::kCell : ExecutionKind::kOneShot; }
  void Run(std::unique_ptr<sandbox::ProgramRunner> runner, v1::StartKind start_kind,
           absl::Duration waited);
  void AbandonRequest();
  void Leave(EventStream::Reader* reader);
  void SetPaused(bool paused);
  absl::Status NeverStartedError() const;
  void AppendStarted();
  void AppendFinished();
  void Append(v1::ExecutionEvent event);
  void ReportBuffered();
  void EndQueued(absl::Status status);
  void End();
  void ReportInterrupt();

  // sandbox::ExecutionObserver
  void OnOutput(sandbox::OutputStream stream, std::string_view bytes) override;
  void OnCellEvent(v1::ExecutionEvent event) override;
  void OnFinished(sandbox::ExecutionEnd end) override;

  Context context_;
  ExecutionRequest request_;
  const bool is_cell_;
  const std::string name_;
  const absl::Time accepted_;
  State state_ = State::kQueued;
  uint64_t ticket_ = 0;  // of the sandbox source, or of the interpreter
  std::unique_ptr<sandbox::ProgramRunner> runner_;
  int64_t sandbox_id_ = 0;
  int64_t execution_count_ = 0;
  v1::StartKind start_kind_ = v1::START_KIND_UNSPECIFIED;
  absl::Duration queued_;
  absl::Duration prepared_;
  EventStream events_;
  ExecutionResult result_;
  std::string setup_error_;
  std::vector<InterruptCallback> interrupt_callbacks_;
  std::optional<PendingInterrupt> interrupt_;
  int64_t buffered_bytes_ = 0;  // as the observer was told
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_EXECUTION_H_
