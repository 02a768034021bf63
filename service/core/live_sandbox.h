// A sandbox that stays with its user: its name, its states, its time, and the queue for its
// interpreter.
//
//   kStarting ─▶ kReady ◀─▶ kBusy ─▶ kLost ─▶ kStarting (restart)          any ─▶ kEnded
//       └──────────────────────────────^
//
// Thread-safety: loop thread only.
// Ownership: shared by the manager and by executions that wait for a turn. What `Context` names
// must outlive it.

#ifndef CLOISTER_SERVICE_CORE_LIVE_SANDBOX_H_
#define CLOISTER_SERVICE_CORE_LIVE_SANDBOX_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cloister/v1/sandbox.pb.h"
#include "sandbox/base/loop.h"
#include "sandbox/sandbox.h"
#include "service/core/incarnation.h"
#include "service/core/observer.h"
#include "service/core/request_memory.h"
#include "service/core/sandbox_source.h"
#include "service/core/turn_queue.h"
#include "service/core/turn_source.h"

namespace cloister::core {

// What a live sandbox is made from; enough to make its interpreter again.
struct LiveSandboxSpec {
  std::string template_name;
  // `snapshots/{snapshot}` that it is a copy of, if any.
  std::string snapshot;
  sandbox::Limits limits;
  std::vector<std::pair<std::string, std::string>> environment;
};

// A copy of a live sandbox that no LiveSandbox has yet.
struct CopiedSession {
  std::unique_ptr<sandbox::Sandbox> sandbox;
  // As the copied one had come.
  int64_t last_cell = 0;
  int64_t last_history = 0;
};

// Copies snapshots.
class SnapshotSource {
 public:
  using Callback = std::function<void(absl::StatusOr<CopiedSession>)>;
  virtual ~SnapshotSource() = default;
  // The template and limits of a sandbox made from it. SNAPSHOT_NOT_FOUND.
  virtual absl::StatusOr<LiveSandboxSpec> SpecOf(const std::string& name) const = 0;
  // Errors, at once or through `done`, which is never called inline: SNAPSHOT_NOT_FOUND,
  // SANDBOX_SETUP_FAILED.
  virtual absl::Status CopySnapshot(const std::string& name, const sandbox::Limits& limits,
                                    Callback done) = 0;
};

// Files that wait to be placed, and what they hold of the server's memory meanwhile.
struct StartFiles {
  std::vector<v1::File> files;
  RequestMemory::Share memory;
};

class LiveSandbox final : public TurnSource, private IncarnationOwner {
 public:
  struct Context {
    sandbox::Loop* loop;
    SandboxSource* source;
    SnapshotSource* snapshots;
    ServiceObserver* observer;
    size_t maximum_queued;
    // Its time is over: the manager is to end it.
    std::function<void(LiveSandbox&, LiveEnd)> on_expired;
  };
  using StartCallback = std::function<void(const absl::Status&)>;

  // What late output may hold while nothing runs; then the oldest goes.
  static constexpr int64_t kMaxLateBytes = int64_t{256} << 10;
  // Of so many of the latest executions late output can be told apart.
  static constexpr size_t kRememberedExecutions = 256;

  LiveSandbox(Context context, LiveSandboxSpec spec, int64_t ordinal);
  ~LiveSandbox() override;

  // Asks for an interpreter; `done` follows, never inline, unless it is ended before. After an
  // error it is LOST. Not while it starts already: see AwaitStart. Errors at once: as
  // SandboxSource.
  absl::Status Start(StartFiles files, absl::Time deadline, StartCallback done);
  // Another one who wants to know; only while it starts.
  void AwaitStart(StartCallback done) { start_callbacks_.push_back(std::move(done)); }
  // Ends the interpreter it has, and starts.
  absl::Status Restart(absl::Time deadline, StartCallback done);

  // Instead of Start: it is this copy of `parent`, and ready.
  void Adopt(CopiedSession copy, const std::string& parent);

  // A turn for what is no cell: calls `work` with the sandbox when it has come, and keeps the turn until
  // the work calls its second argument, once. `refused` is called instead where the turn does not
  // come, and as well where the sandbox is lost under the work. Errors at once: as RequestTurn.
  using Work = std::function<void(sandbox::Sandbox&, std::function<void()> over)>;
  using Refused = std::function<void(const absl::Status&)>;
  absl::Status RequestWork(Work work, absl::Time deadline, Refused refused);
  int64_t last_cell() const { return last_cell_; }
  int64_t last_history() const { return last_history_; }

  // Infinite: never.
  void SetLifetime(absl::Duration ttl) { SetTimes(context_.loop->Now() + ttl, idle_timeout_); }
  void SetIdleTimeout(absl::Duration idle_timeout) { SetTimes(expiry_, idle_timeout); }

  // Kills what runs, refuses what waits with `why`. The object is of no use any more.
  void End(LiveEnd how, const absl::Status& why);

  v1::Sandbox ToProto() const;

  const std::string& name() const { return name_; }
  int64_t ordinal() const { return ordinal_; }
  const LiveSandboxSpec& spec() const { return spec_; }
  v1::Sandbox::State state() const { return state_; }
  v1::StartKind start_kind() const { return start_kind_; }
  const std::string& current_execution() const { return current_execution_; }

  // TurnSource
  const sandbox::Limits& limits() const override { return spec_.limits; }
  absl::StatusOr<Ticket> RequestTurn(const std::string& execution, CellRequest cell,
                                     absl::Time deadline, TurnCallback done) override;
  absl::StatusOr<Ticket> Ask(sandbox::NotebookQuestion question, absl::Time deadline,
                             sandbox::NotebookCallback done) override;
  void AbandonTurn(Ticket ticket) override { queue_.Abandon(ticket); }

 private:
  void OnLease(StartFiles files, absl::StatusOr<Lease> lease);
  void BeginStart(StartCallback done);
  absl::Status StartFromSnapshot();
  void ResumeCopy(CopiedSession copy);
  void BeginWork(TurnQueue::Waiter waiter);
  void EndWork();
  void RefuseWork(const absl::Status& why);
  void FinishStart(const absl::Status& status);
  absl::StatusOr<Ticket> Enqueue(TurnQueue::Waiter waiter, absl::Time deadline);
  void ServeSoon();
  void Serve();
  void ServeCell(TurnQueue::Waiter waiter);
  void ServeQuestion(TurnQueue::Waiter waiter);
  void OnAnswer(absl::StatusOr<sandbox::NotebookAnswer> answer);
  // Tells who asked that no answer comes.
  void FailQuestion(const absl::Status& why);
  void Lose(v1::Outcome::Kind cause, const std::string& detail);
  // Becomes LOST, whatever the reason.
  void LetGo(v1::Outcome::Kind cause, const std::string& detail);
  absl::Status LostError() const;
  void SetState(v1::Sandbox::State state);

  void SetTimes(absl::Time expiry, absl::Duration idle_timeout);
  absl::Time IdleExpiry() const;
  void ScheduleExpiry();
  void OnExpiryTimer();

  std::string ExecutionOfCell(int64_t cell) const;
  void FlushLate();

  // IncarnationOwner
  void OnOpened(const absl::Status& status) override;
  void OnLost(const v1::Outcome& how) override;
  void OnLateOutput(int64_t cell, v1::LateOutput output) override;
  void OnCellEnded(const sandbox::ExecutionEnd& end) override;
  void OnTurnOver() override;

  const Context context_;
  const LiveSandboxSpec spec_;
  const std::string name_;
  const int64_t ordinal_;
  const google::protobuf::Timestamp create_time_;
  v1::Sandbox::State state_ = v1::Sandbox::STATE_UNSPECIFIED;
  bool ended_ = false;

  SandboxSource::Ticket lease_ticket_ = 0;
  absl::Time start_requested_;
  std::vector<StartCallback> start_callbacks_;
  std::shared_ptr<Incarnation> incarnation_;
  v1::StartKind start_kind_ = v1::START_KIND_UNSPECIFIED;
  int restart_count_ = 0;
  v1::Loss loss_;

  TurnQueue queue_;
  Ticket last_ticket_ = 0;
  CellTurn* turn_ = nullptr;             // under way
  sandbox::NotebookCallback on_answer_;  // of the question that is under way
  Refused work_refused_;                 // of work under way
  int64_t work_number_ = 0;
  std::string parent_;
  std::string current_execution_;
  int64_t last_cell_ = 0;
  int64_t last_history_ = 0;
  std::deque<std::string> recent_executions_;  // the last is that of last_cell_
  std::deque<v1::LateOutput> late_;
  int64_t late_bytes_ = 0;

  absl::Time expiry_ = absl::InfiniteFuture();
  absl::Duration idle_timeout_ = absl::InfiniteDuration();
  absl::Time last_used_;
  sandbox::Loop::TimerId expiry_timer_ = 0;
  const std::shared_ptr<char> alive_ = std::make_shared<char>();  // expires with the object
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_LIVE_SANDBOX_H_
