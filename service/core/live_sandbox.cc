#include "service/core/live_sandbox.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "sandbox/base/status_macros.h"
#include "service/base/ids.h"
#include "service/base/proto_time.h"
#include "service/core/error.h"
#include "service/core/limits_proto.h"

namespace cloister::core {
namespace {

using State = v1::Sandbox::State;

sandbox::StopReason StopReasonOf(LiveEnd how) {
  switch (how) {
    case LiveEnd::kDeleted:
    case LiveEnd::kFailed:
      return sandbox::StopReason::kDeleted;
    case LiveEnd::kTtl:
    case LiveEnd::kIdleTimeout:
      return sandbox::StopReason::kExpired;
    case LiveEnd::kDrain:
      break;
  }
  return sandbox::StopReason::kShutdown;
}

bool LeavesHistory(const v1::CellOptions& options) {
  return !options.skip_history() && !options.silent();
}

}  // namespace

LiveSandbox::LiveSandbox(Context context, LiveSandboxSpec spec, int64_t ordinal)
    : context_(std::move(context)),
      spec_(std::move(spec)),
      name_(absl::StrCat("sandboxes/", base::NewId())),
      ordinal_(ordinal),
      create_time_(base::ToProto(absl::Now())),
      queue_(context_.loop, context_.maximum_queued),
      last_used_(context_.loop->Now()) {}

LiveSandbox::~LiveSandbox() {
  if (lease_ticket_ != 0) context_.source->AbandonRequest(lease_ticket_);
  context_.loop->Cancel(expiry_timer_);
  if (incarnation_ != nullptr) incarnation_->Abandon(sandbox::StopReason::kShutdown);
}

// ---- start and end ------------------------------------------------------------------------------

absl::Status LiveSandbox::Start(StartFiles files, absl::Time deadline, StartCallback done) {
  if (!spec_.snapshot.empty()) {
    CLOISTER_RETURN_IF_ERROR(StartFromSnapshot());
    BeginStart(std::move(done));
    return absl::OkStatus();
  }
  // Shared, because a std::function has to be copyable.
  auto held = std::make_shared<StartFiles>(std::move(files));
  // A raw pointer is enough: the destructor abandons the request.
  absl::StatusOr<SandboxSource::Ticket> ticket = context_.source->RequestSessionLease(
      spec_.template_name, deadline,
      [this, held](absl::StatusOr<Lease> lease) { OnLease(std::move(*held), std::move(lease)); });
  if (!ticket.ok()) return std::move(ticket).status();
  lease_ticket_ = *ticket;
  BeginStart(std::move(done));
  return absl::OkStatus();
}

void LiveSandbox::BeginStart(StartCallback done) {
  start_requested_ = context_.loop->Now();
  start_callbacks_.push_back(std::move(done));
  loss_.Clear();
  SetState(v1::Sandbox::STATE_STARTING);
}

absl::Status LiveSandbox::Restart(absl::Time deadline, StartCallback done) {
  if (state_ == v1::Sandbox::STATE_STARTING) {
    AwaitStart(std::move(done));
    return absl::OkStatus();
  }
  if (state_ != v1::Sandbox::STATE_LOST) {
    LetGo(v1::Outcome::KIND_INTERRUPTED, "the sandbox was restarted");
  }
  absl::Status started = Start({}, deadline, std::move(done));
  if (!started.ok()) return started;
  ++restart_count_;
  last_used_ = context_.loop->Now();
  context_.observer->OnLiveRestarted(name_);
  return absl::OkStatus();
}

void LiveSandbox::OnLease(StartFiles files, absl::StatusOr<Lease> lease) {
  lease_ticket_ = 0;
  if (!lease.ok()) return FinishStart(lease.status());
  start_kind_ = lease->start_kind;
  context_.source->SetAside(lease->sandbox->id());
  IncarnationOwner* const self = this;  // private to make_shared
  incarnation_ = std::make_shared<Incarnation>(self, std::move(lease->sandbox));
  last_cell_ = last_history_ = 0;
  recent_executions_.clear();
  late_.clear();
  late_bytes_ = 0;
  incarnation_->sandbox().OpenSession({spec_.limits, spec_.environment, std::move(files.files)},
                                      incarnation_.get());
}

void LiveSandbox::OnOpened(const absl::Status& status) {
  if (status.ok()) return FinishStart(absl::OkStatus());
  absl::Status error = MakeError(
      v1::ERROR_REASON_SANDBOX_SETUP_FAILED,
      absl::IsResourceExhausted(status)
          ? "the environment and files do not fit into the sandbox's limits"
          : absl::StrCat("the sandbox could not be made ready; the server's log says why, for ",
                         name_));
  context_.observer->OnLiveSetupFailed(name_, status);
  FinishStart(error);
}

void LiveSandbox::FinishStart(const absl::Status& status) {
  const std::weak_ptr<char> alive = alive_;
  if (status.ok()) {
    SetState(v1::Sandbox::STATE_READY);
    last_used_ = context_.loop->Now();
    context_.observer->OnLiveStarted(name_, spec_.template_name, start_kind_,
                                     last_used_ - start_requested_);
    ScheduleExpiry();
  } else {
    Lose(v1::Outcome::KIND_INTERPRETER_LOST, std::string(status.message()));
  }
  for (const StartCallback& done : std::exchange(start_callbacks_, {})) {
    done(status);
    if (alive.expired()) return;
  }
  if (status.ok()) Serve();
}

void LiveSandbox::End(LiveEnd how, const absl::Status& why) {
  if (std::exchange(ended_, true)) return;
  SetState(v1::Sandbox::STATE_UNSPECIFIED);
  if (lease_ticket_ != 0) context_.source->AbandonRequest(std::exchange(lease_ticket_, 0));
  context_.loop->Cancel(std::exchange(expiry_timer_, 0));
  turn_ = nullptr;
  if (auto incarnation = std::exchange(incarnation_, nullptr)) {
    incarnation->Abandon(StopReasonOf(how));
  }
  context_.observer->OnLiveEnded(name_, how);
  // Whoever is told may let go of this.
  const std::weak_ptr<char> alive = alive_;
  FailQuestion(why);
  if (alive.expired()) return;
  RefuseWork(why);
  if (alive.expired()) return;
  for (const StartCallback& done : std::exchange(start_callbacks_, {})) done(why);
  if (!alive.expired()) queue_.FailAll(why);
}

void LiveSandbox::OnLost(const v1::Outcome& how) { Lose(how.kind(), how.detail()); }

void LiveSandbox::Lose(v1::Outcome::Kind cause, const std::string& detail) {
  context_.observer->OnLiveLost(name_, cause, detail);
  LetGo(cause, detail);
}

void LiveSandbox::LetGo(v1::Outcome::Kind cause, const std::string& detail) {
  loss_.set_cause(cause);
  loss_.set_detail(detail);
  loss_.set_execution(current_execution_);
  *loss_.mutable_time() = base::ToProto(absl::Now());
  SetState(v1::Sandbox::STATE_LOST);
  turn_ = nullptr;
  current_execution_.clear();
  late_.clear();
  late_bytes_ = 0;
  last_used_ = context_.loop->Now();
  // A turn that is under way keeps it until its end has been told.
  if (auto incarnation = std::exchange(incarnation_, nullptr)) {
    incarnation->Abandon(sandbox::StopReason::kRestarted);
  }
  ScheduleExpiry();
  const absl::Status error = LostError();
  const std::weak_ptr<char> alive = alive_;
  FailQuestion(error);
  if (!alive.expired()) RefuseWork(error);
  if (!alive.expired()) queue_.FailAll(error);
}

absl::Status LiveSandbox::LostError() const {
  const std::string cause(absl::StripPrefix(v1::Outcome::Kind_Name(loss_.cause()), "KIND_"));
  absl::Status error = WithMetadata(
      MakeError(v1::ERROR_REASON_SANDBOX_LOST,
                absl::StrCat("the sandbox's interpreter ended, and its state with it (", cause,
                             ": ", loss_.detail(), "); RestartSandbox gives it a new one")),
      "cause", cause);
  return loss_.execution().empty() ? error
                                   : WithMetadata(std::move(error), "execution", loss_.execution());
}

void LiveSandbox::SetState(State state) {
  if (state == state_) return;
  context_.observer->OnLiveState(state_, state);
  state_ = state;
}

// ---- turns --------------------------------------------------------------------------------------

absl::StatusOr<LiveSandbox::Ticket> LiveSandbox::RequestTurn(const std::string& execution,
                                                             CellRequest cell, absl::Time deadline,
                                                             TurnCallback done) {
  return Enqueue({.execution = execution, .cell = std::move(cell), .done = std::move(done)},
                 deadline);
}

absl::StatusOr<LiveSandbox::Ticket> LiveSandbox::Enqueue(TurnQueue::Waiter waiter,
                                                         absl::Time deadline) {
  if (state_ == v1::Sandbox::STATE_LOST) return LostError();
  waiter.ticket = ++last_ticket_;
  waiter.arrived = context_.loop->Now();
  if (absl::Status pushed = queue_.Push(std::move(waiter), deadline); !pushed.ok()) return pushed;
  if (state_ == v1::Sandbox::STATE_READY && queue_.size() == 1) ServeSoon();
  return last_ticket_;
}

void LiveSandbox::ServeSoon() {
  context_.loop->Post([this, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired()) Serve();
  });
}

void LiveSandbox::Serve() {
  if (state_ != v1::Sandbox::STATE_READY || queue_.empty()) return;
  TurnQueue::Waiter waiter = queue_.Pop();
  if (waiter.question.has_value()) return ServeQuestion(std::move(waiter));
  if (waiter.work != nullptr) return BeginWork(std::move(waiter));
  ServeCell(std::move(waiter));
}

void LiveSandbox::ServeCell(TurnQueue::Waiter waiter) {
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
  SetState(v1::Sandbox::STATE_BUSY);
  if (!late_.empty()) {
    // After the execution has said that it started.
    context_.loop->Post([this, alive = std::weak_ptr<char>(alive_)] {
      if (!alive.expired()) FlushLate();
    });
  }
  waiter.done(std::move(turn));
}

void LiveSandbox::OnCellEnded(const sandbox::ExecutionEnd& end) {
  if (!end.status.ok()) {
    return Lose(v1::Outcome::KIND_INTERPRETER_LOST, "the interpreter could not be reached");
  }
  if (!end.outcome.state_preserved()) return Lose(end.outcome.kind(), end.outcome.detail());
  current_execution_.clear();
  turn_ = nullptr;
  last_used_ = context_.loop->Now();
  SetState(v1::Sandbox::STATE_READY);
}

void LiveSandbox::OnTurnOver() { Serve(); }

std::string LiveSandbox::ExecutionOfCell(int64_t cell) const {
  const int64_t age = last_cell_ - cell;
  const auto count = static_cast<int64_t>(recent_executions_.size());
  return age < 0 || age >= count ? "" : recent_executions_[static_cast<size_t>(count - 1 - age)];
}

void LiveSandbox::OnLateOutput(int64_t cell, v1::LateOutput output) {
  output.set_execution(ExecutionOfCell(cell));
  late_bytes_ += static_cast<int64_t>(output.ByteSizeLong());
  late_.push_back(std::move(output));
  if (turn_ != nullptr && turn_->observer() != nullptr) return FlushLate();
  while (late_bytes_ > kMaxLateBytes && !late_.empty()) {
    late_bytes_ -= static_cast<int64_t>(late_.front().ByteSizeLong());
    late_.pop_front();
  }
}

void LiveSandbox::FlushLate() {
  const std::weak_ptr<char> alive = alive_;
  while (!late_.empty() && turn_ != nullptr && turn_->observer() != nullptr) {
    v1::ExecutionEvent event;
    *event.mutable_late_output() = std::move(late_.front());
    late_.pop_front();
    if (late_.empty()) late_bytes_ = 0;
    turn_->observer()->OnCellEvent(std::move(event));
    if (alive.expired()) return;
  }
}

// ---- time ---------------------------------------------------------------------------------------

void LiveSandbox::SetTimes(absl::Time expiry, absl::Duration idle_timeout) {
  expiry_ = expiry;
  idle_timeout_ = idle_timeout;
  ScheduleExpiry();
}

absl::Time LiveSandbox::IdleExpiry() const {
  const bool idle = state_ == v1::Sandbox::STATE_READY || state_ == v1::Sandbox::STATE_LOST;
  return idle ? last_used_ + idle_timeout_ : absl::InfiniteFuture();
}

// Looks again when it could be over at the earliest; executions meanwhile move no timer.
void LiveSandbox::ScheduleExpiry() {
  context_.loop->Cancel(std::exchange(expiry_timer_, 0));
  const absl::Time now = context_.loop->Now();
  const absl::Time idle =
      IdleExpiry() == absl::InfiniteFuture() ? now + idle_timeout_ : IdleExpiry();
  const absl::Time next = std::min(expiry_, idle);
  if (ended_ || next == absl::InfiniteFuture()) return;
  expiry_timer_ = context_.loop->CallAfter(next - now, [this] { OnExpiryTimer(); });
}

void LiveSandbox::OnExpiryTimer() {
  expiry_timer_ = 0;
  const absl::Time now = context_.loop->Now();
  if (now >= expiry_) return context_.on_expired(*this, LiveEnd::kTtl);
  if (now >= IdleExpiry()) return context_.on_expired(*this, LiveEnd::kIdleTimeout);
  ScheduleExpiry();
}

v1::Sandbox LiveSandbox::ToProto() const {
  const absl::Time now = context_.loop->Now();
  const absl::Time wall = absl::Now();
  v1::Sandbox proto;
  proto.set_name(name_);
  proto.set_state(state_);
  proto.set_template_(spec_.template_name);
  proto.set_snapshot(spec_.snapshot);
  proto.set_parent(parent_);
  proto.set_start_kind(start_kind_);
  *proto.mutable_create_time() = create_time_;
  if (expiry_ != absl::InfiniteFuture()) {
    *proto.mutable_expire_time() = base::ToProto(wall + (expiry_ - now));
  }
  if (idle_timeout_ != absl::InfiniteDuration()) {
    *proto.mutable_idle_timeout() = base::ToProto(idle_timeout_);
    if (IdleExpiry() != absl::InfiniteFuture()) {
      *proto.mutable_idle_expire_time() = base::ToProto(wall + (IdleExpiry() - now));
    }
  }
  *proto.mutable_limits() = core::ToProto(spec_.limits);
  if (state_ == v1::Sandbox::STATE_LOST) *proto.mutable_loss() = loss_;
  proto.set_current_execution(current_execution_);
  proto.set_queued_execution_count(static_cast<int32_t>(queue_.size()));
  proto.set_restart_count(restart_count_);
  proto.set_execution_count(last_cell_);
  return proto;
}

}  // namespace cloister::core
