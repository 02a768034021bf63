// One interpreter of a live sandbox: its states, the queue for it, its turns, and what earlier cells
// of it write late. `main` is one, and so is every further one; they differ only in how their owner
// starts them.
//
//   kStarting ─▶ kReady ◀─▶ kBusy ─▶ kLost ─▶ kStarting (restart)          any ─▶ ended
//       └──────────────────────────────^
//
// Thread-safety: loop thread only.
// Ownership: shared by its sandbox and by executions that wait for a turn. What `Context` names must
// outlive it, but for the owner, which must end it first.

#ifndef CLOISTER_SERVICE_CORE_LIVE_INTERPRETER_H_
#define CLOISTER_SERVICE_CORE_LIVE_INTERPRETER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cloister/v1/interpreter.pb.h"
#include "cloister/v1/sandbox.pb.h"
#include "sandbox/base/loop.h"
#include "sandbox/sandbox.h"
#include "service/core/guest_requests.h"
#include "service/core/incarnation.h"
#include "service/core/interpreter_mail.h"
#include "service/core/observer.h"
#include "service/core/turn_queue.h"
#include "service/core/turn_source.h"

namespace cloister::core {

class LiveInterpreter;

// The sandbox, as its interpreters see it.
class InterpreterOwner {
 public:
  virtual ~InterpreterOwner() = default;
  virtual void OnInterpreterState(v1::Interpreter::State from, v1::Interpreter::State to) = 0;
  // Its session is open, or will not be. Of `main` only: further ones come open.
  virtual void OnInterpreterOpened(const absl::Status& status) = 0;
  // It ended by itself; the owner calls LetGo.
  virtual void OnInterpreterLost(LiveInterpreter& interpreter, v1::Outcome::Kind cause,
                                 const std::string& detail) = 0;
  // An execution ended in it.
  virtual void OnInterpreterUsed() = 0;
};

class LiveInterpreter final : public TurnSource,
                              public std::enable_shared_from_this<LiveInterpreter>,
                              private IncarnationOwner {
 public:
  using State = v1::Interpreter::State;

  struct Context {
    sandbox::Loop* loop;
    ServiceObserver* observer;
    InterpreterOwner* owner;
    sandbox::Limits limits;
    size_t maximum_queued;
    // Of what code asks about other interpreters; null for nobody.
    GuestRequests* requests = nullptr;
  };

  // What late output may hold while nothing runs; then the oldest goes.
  static constexpr int64_t kMaxLateBytes = int64_t{256} << 10;
  // Of so many of the latest executions late output can be told apart.
  static constexpr size_t kRememberedExecutions = 256;

  // `sandboxes/{sandbox}/interpreters/{interpreter}`
  LiveInterpreter(const Context& context, std::string name, v1::Interpreter::Profile profile);
  ~LiveInterpreter() override;

  // ---- Its life, as its owner directs it.

  // It will be started; what waits goes on waiting.
  void BeginStart();
  // From here on `incarnation`, which has this as owner. Numbers of cells go on from these.
  void Attach(std::shared_ptr<Incarnation> incarnation, v1::StartKind start_kind,
              int64_t last_cell = 0, int64_t last_history = 0);
  // The number of a cell that the owner runs, to set it up, before it is open. Nobody's execution.
  int64_t TakeCell();
  // What it was attached to waits for code.
  void Open();
  // What it was attached to, null for nothing: it tells nothing any more, and a turn under way keeps
  // it until its end is told. Before the next three.
  std::shared_ptr<Incarnation> Detach();
  // Gets a new start: what waits goes on waiting, what is under way is refused with `why`.
  void BeginRestart(const absl::Status& why);
  // Becomes LOST: refuses what waits, and what is asked from here on, with `why`.
  void LetGo(v1::Loss loss, const absl::Status& why);
  // Refuses what waits with `why`; is of no use any more.
  void End(const absl::Status& why);

  // For the observer this becomes it.
  IncarnationOwner* incarnation_owner() { return this; }

  // A turn for what is no cell: calls `work` when it has come, and keeps the turn until the work
  // calls its argument, once. `refused` is called instead where the turn does not come, and as well
  // where the interpreter is lost under the work. Errors at once: as RequestTurn.
  using Work = std::function<void(std::function<void()> over)>;
  using Refused = std::function<void(const absl::Status&)>;
  absl::Status RequestWork(Work work, absl::Time deadline, Refused refused);

  const std::string& name() const { return name_; }
  State state() const { return state_; }
  v1::Interpreter::Profile profile() const { return profile_; }
  void SetProfile(v1::Interpreter::Profile profile);
  v1::StartKind start_kind() const { return start_kind_; }
  const v1::Loss& loss() const { return loss_; }
  const std::shared_ptr<Incarnation>& incarnation() const { return incarnation_; }
  InterpreterMail& mail() { return *mail_; }
  const std::string& current_execution() const { return current_execution_; }
  size_t queued() const { return queue_.size(); }
  int64_t last_cell() const { return last_cell_; }
  // Since it was opened.
  int64_t execution_count() const { return last_cell_ - cells_before_open_; }
  int64_t last_history() const { return last_history_; }

  // All that it knows of itself.
  v1::Interpreter ToProto() const;

  // TurnSource
  const sandbox::Limits& limits() const override { return context_.limits; }
  absl::StatusOr<Ticket> RequestTurn(const std::string& execution, CellRequest cell,
                                     absl::Time deadline, TurnCallback done) override;
  absl::StatusOr<Ticket> Ask(sandbox::NotebookQuestion question, absl::Time deadline,
                             sandbox::NotebookCallback done) override;
  absl::Status CheckThere() const override;
  void AbandonTurn(Ticket ticket) override { queue_.Abandon(ticket); }

 private:
  absl::StatusOr<Ticket> Enqueue(TurnQueue::Waiter waiter, absl::Time deadline);
  void ServeSoon();
  void Serve();
  void ServeCell(TurnQueue::Waiter waiter);
  void ServeQuestion(TurnQueue::Waiter waiter);
  void OnAnswer(absl::StatusOr<sandbox::NotebookAnswer> answer);
  void BeginWork(TurnQueue::Waiter waiter);
  void EndWork();
  // Tells a question and a work under way that they come to nothing.
  void FailUnderWay(const absl::Status& why);
  void Lose(v1::Outcome::Kind cause, const std::string& detail);
  void SetState(State state);
  void CountMemory(int64_t bytes);

  std::string ExecutionOfCell(int64_t cell) const;
  void FlushLate();

  // IncarnationOwner
  void OnOpened(const absl::Status& status) override;
  void OnLost(const v1::Outcome& how) override;
  void OnLateOutput(int64_t cell, v1::LateOutput output) override;
  void OnCellEnded(const sandbox::ExecutionEnd& end) override;
  void OnTurnOver() override;

  Context context_;  // without an owner once ended
  const std::string name_;
  v1::Interpreter::Profile profile_;
  State state_ = v1::Interpreter::STATE_UNSPECIFIED;
  v1::StartKind start_kind_ = v1::START_KIND_UNSPECIFIED;
  v1::Loss loss_;
  absl::Status refusal_;  // while LOST or ended
  std::shared_ptr<Incarnation> incarnation_;

  const std::shared_ptr<InterpreterMail> mail_;
  TurnQueue queue_;
  Ticket last_ticket_ = 0;
  CellTurn* turn_ = nullptr;             // under way
  sandbox::NotebookCallback on_answer_;  // of the question that is under way
  Refused work_refused_;                 // of work under way
  int64_t work_number_ = 0;
  std::string current_execution_;
  int64_t last_cell_ = 0;
  int64_t cells_before_open_ = 0;  // of what it is a copy of, and the owner's
  int64_t last_history_ = 0;
  int64_t memory_bytes_ = 0;                   // as the observer was told
  std::deque<std::string> recent_executions_;  // the last is that of last_cell_
  std::deque<v1::LateOutput> late_;
  int64_t late_bytes_ = 0;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_LIVE_INTERPRETER_H_
