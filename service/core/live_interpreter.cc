#include "service/core/live_interpreter.h"

#include <utility>

namespace cloister::core {
namespace {

bool LeavesHistory(const v1::CellOptions& options) {
  return !options.skip_history() && !options.silent();
}

}  // namespace

LiveInterpreter::LiveInterpreter(const Context& context, std::string name,
                                 v1::Interpreter::Profile profile)
    : context_(context),
      name_(std::move(name)),
      profile_(profile),
      mail_(std::make_shared<InterpreterMail>(InterpreterMail::Context{
          .loop = context_.loop,
          .observer = context_.observer,
          .requests = context_.requests,
          .interpreter = name_,
          .on_used = [this] {
            if (context_.owner != nullptr) context_.owner->OnInterpreterUsed();
          }})),
      queue_(context_.loop, context_.maximum_queued) {}

LiveInterpreter::~LiveInterpreter() {
  mail_->Retire();
  CountMemory(0);
  if (incarnation_ != nullptr) incarnation_->Abandon(sandbox::StopReason::kShutdown);
}

// ---- its life -----------------------------------------------------------------------------------

void LiveInterpreter::BeginStart() {
  loss_.Clear();
  SetState(v1::Interpreter::STATE_STARTING);
}

void LiveInterpreter::Attach(std::shared_ptr<Incarnation> incarnation, v1::StartKind start_kind,
                             int64_t last_cell, int64_t last_history) {
  incarnation_ = std::move(incarnation);
  start_kind_ = start_kind;
  last_cell_ = last_cell;
  last_history_ = last_history;
  recent_executions_.clear();
  late_.clear();
  late_bytes_ = 0;
}

int64_t LiveInterpreter::TakeCell() {
  recent_executions_.emplace_back();
  return ++last_cell_;
}

void LiveInterpreter::Open() {
  cells_before_open_ = last_cell_;
  SetState(v1::Interpreter::STATE_READY);
  mail_->Begin(&incarnation_->runner().mailbox());
  ServeSoon();
}

std::shared_ptr<Incarnation> LiveInterpreter::Detach() {
  turn_ = nullptr;
  late_.clear();
  late_bytes_ = 0;
  CountMemory(0);
  mail_->Halt();
  auto incarnation = std::exchange(incarnation_, nullptr);
  if (incarnation != nullptr) incarnation->Leave();
  return incarnation;
}

void LiveInterpreter::BeginRestart(const absl::Status& why) {
  BeginStart();
  current_execution_.clear();
  FailUnderWay(why);
  mail_->End(why);
}

void LiveInterpreter::LetGo(v1::Loss loss, const absl::Status& why) {
  const std::shared_ptr<LiveInterpreter> keep_alive = shared_from_this();
  loss_ = std::move(loss);
  refusal_ = why;
  SetState(v1::Interpreter::STATE_LOST);
  current_execution_.clear();
  FailUnderWay(why);
  mail_->End(why);
  queue_.FailAll(why);
}

void LiveInterpreter::End(const absl::Status& why) {
  const std::shared_ptr<LiveInterpreter> keep_alive = shared_from_this();
  refusal_ = why;
  SetState(v1::Interpreter::STATE_UNSPECIFIED);
  context_.owner = nullptr;
  current_execution_.clear();
  FailUnderWay(why);
  mail_->End(why);
  queue_.FailAll(why);
}

void LiveInterpreter::FailUnderWay(const absl::Status& why) {
  const auto answer = std::exchange(on_answer_, nullptr);
  const auto refused = std::exchange(work_refused_, nullptr);
  if (answer != nullptr) answer(why);
  if (refused != nullptr) refused(why);
}

void LiveInterpreter::OnOpened(const absl::Status& status) {
  context_.owner->OnInterpreterOpened(status);
}

void LiveInterpreter::OnLost(const v1::Outcome& how) { Lose(how.kind(), how.detail()); }

void LiveInterpreter::Lose(v1::Outcome::Kind cause, const std::string& detail) {
  const std::shared_ptr<LiveInterpreter> keep_alive = shared_from_this();
  context_.owner->OnInterpreterLost(*this, cause, detail);
}

void LiveInterpreter::SetState(State state) {
  if (state == state_) return;
  const State from = std::exchange(state_, state);
  context_.observer->OnInterpreterState(profile_, from, state);
  if (context_.owner != nullptr) context_.owner->OnInterpreterState(from, state);
}

void LiveInterpreter::SetProfile(v1::Interpreter::Profile profile) {
  context_.observer->OnInterpreterState(profile_, state_, v1::Interpreter::STATE_UNSPECIFIED);
  profile_ = profile;
  context_.observer->OnInterpreterState(profile_, v1::Interpreter::STATE_UNSPECIFIED, state_);
}

void LiveInterpreter::CountMemory(int64_t bytes) {
  const int64_t before = std::exchange(memory_bytes_, bytes);
  if (before != bytes) context_.observer->OnInterpreterMemory(profile_, bytes - before);
}

// ---- turns --------------------------------------------------------------------------------------

absl::StatusOr<LiveInterpreter::Ticket> LiveInterpreter::RequestTurn(const std::string& execution,
                                                                     CellRequest cell,
                                                                     absl::Time deadline,
                                                                     TurnCallback done) {
  return Enqueue({.execution = execution, .cell = std::move(cell), .done = std::move(done)},
                 deadline);
}

absl::Status LiveInterpreter::CheckThere() const {
  const bool is_there = state_ != v1::Interpreter::STATE_LOST && context_.owner != nullptr;
  return is_there ? absl::OkStatus() : refusal_;
}

absl::StatusOr<LiveInterpreter::Ticket> LiveInterpreter::Enqueue(TurnQueue::Waiter waiter,
                                                                 absl::Time deadline) {
  if (absl::Status there = CheckThere(); !there.ok()) return there;
  waiter.ticket = ++last_ticket_;
  waiter.arrived = context_.loop->Now();
  if (absl::Status pushed = queue_.Push(std::move(waiter), deadline); !pushed.ok()) return pushed;
  if (state_ == v1::Interpreter::STATE_READY && queue_.size() == 1) ServeSoon();
  return last_ticket_;
}

void LiveInterpreter::ServeSoon() {
  context_.loop->Post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Serve();
  });
}

void LiveInterpreter::Serve() {
  if (state_ != v1::Interpreter::STATE_READY || queue_.empty()) return;
  TurnQueue::Waiter waiter = queue_.Pop();
  if (waiter.question.has_value()) return ServeQuestion(std::move(waiter));
  if (waiter.work != nullptr) return BeginWork(std::move(waiter));
  ServeCell(std::move(waiter));
}

void LiveInterpreter::ServeCell(TurnQueue::Waiter waiter) {
  const bool history = LeavesHistory(waiter.cell.options);
  Turn turn{.start_kind = start_kind_,
            .waited = context_.loop->Now() - waiter.arrived,
            .execution_count = history ? ++last_history_ : 0};
  sandbox::CellSettings settings{.number = ++last_cell_,
                                 .execution_count = turn.execution_count,
                                 .allow_input = waiter.cell.allow_input,
                                 .options = std::move(waiter.cell.options)};
  auto runner = std::make_unique<CellTurn>(incarnation_, std::move(settings));
  turn_ = runner.get();
  turn.runner = std::move(runner);
  current_execution_ = waiter.execution;
  recent_executions_.push_back(std::move(waiter.execution));
  if (recent_executions_.size() > kRememberedExecutions) recent_executions_.pop_front();
  SetState(v1::Interpreter::STATE_BUSY);
  if (!late_.empty()) {
    // After the execution has said that it started.
    context_.loop->Post([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->FlushLate();
    });
  }
  waiter.done(std::move(turn));
}

void LiveInterpreter::OnCellEnded(const sandbox::ExecutionEnd& end) {
  if (!end.status.ok()) {
    return Lose(v1::Outcome::KIND_INTERPRETER_LOST, "the interpreter could not be reached");
  }
  if (!end.outcome.state_preserved()) return Lose(end.outcome.kind(), end.outcome.detail());
  current_execution_.clear();
  turn_ = nullptr;
  if (const sandbox::Interpreter* further = incarnation_->interpreter()) {
    CountMemory(further->memory().current_bytes());
  }
  context_.owner->OnInterpreterUsed();
  SetState(v1::Interpreter::STATE_READY);
}

void LiveInterpreter::OnTurnOver() { Serve(); }

// ---- work ---------------------------------------------------------------------------------------

absl::Status LiveInterpreter::RequestWork(Work work, absl::Time deadline, Refused refused) {
  TurnQueue::Waiter waiter;
  waiter.done = [refused = std::move(refused)](absl::StatusOr<Turn> turn) {
    refused(turn.status());
  };
  waiter.work = std::move(work);
  return Enqueue(std::move(waiter), deadline).status();
}

void LiveInterpreter::BeginWork(TurnQueue::Waiter waiter) {
  SetState(v1::Interpreter::STATE_BUSY);
  work_refused_ = [done = std::move(waiter.done)](const absl::Status& why) { done(why); };
  const int64_t number = ++work_number_;
  waiter.work([number, weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self != nullptr && number == self->work_number_ && self->work_refused_ != nullptr) {
      self->EndWork();
    }
  });
}

void LiveInterpreter::EndWork() {
  work_refused_ = nullptr;
  context_.owner->OnInterpreterUsed();
  SetState(v1::Interpreter::STATE_READY);
  ServeSoon();
}

// ---- what comes late ----------------------------------------------------------------------------

std::string LiveInterpreter::ExecutionOfCell(int64_t cell) const {
  const int64_t age = last_cell_ - cell;
  const auto count = static_cast<int64_t>(recent_executions_.size());
  return age < 0 || age >= count ? "" : recent_executions_[static_cast<size_t>(count - 1 - age)];
}

void LiveInterpreter::OnLateOutput(int64_t cell, v1::LateOutput output) {
  output.set_execution(ExecutionOfCell(cell));
  late_bytes_ += static_cast<int64_t>(output.ByteSizeLong());
  late_.push_back(std::move(output));
  if (turn_ != nullptr && turn_->observer() != nullptr) return FlushLate();
  while (late_bytes_ > kMaxLateBytes && !late_.empty()) {
    late_bytes_ -= static_cast<int64_t>(late_.front().ByteSizeLong());
    late_.pop_front();
  }
}

void LiveInterpreter::FlushLate() {
  const std::shared_ptr<LiveInterpreter> keep_alive = shared_from_this();
  while (!late_.empty() && turn_ != nullptr && turn_->observer() != nullptr) {
    v1::ExecutionEvent event;
    *event.mutable_late_output() = std::move(late_.front());
    late_.pop_front();
    if (late_.empty()) late_bytes_ = 0;
    turn_->observer()->OnCellEvent(std::move(event));
  }
}

// ---- as it is -----------------------------------------------------------------------------------

v1::Interpreter LiveInterpreter::ToProto() const {
  v1::Interpreter proto;
  proto.set_name(name_);
  proto.set_profile(profile_);
  proto.set_state(state_);
  if (state_ == v1::Interpreter::STATE_LOST) *proto.mutable_loss() = loss_;
  if (incarnation_ != nullptr && incarnation_->interpreter() != nullptr) {
    const internal::v1::InterpreterMemory memory = incarnation_->interpreter()->memory();
    proto.set_memory_bytes(memory.current_bytes());
    proto.set_peak_memory_bytes(memory.peak_bytes());
  }
  proto.set_current_execution(current_execution_);
  proto.set_queued_execution_count(static_cast<int32_t>(queue_.size()));
  proto.set_execution_count(execution_count());
  return proto;
}

}  // namespace cloister::core
