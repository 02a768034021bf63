#include "service/core/live_sandbox.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "sandbox/base/status_macros.h"
#include "service/base/ids.h"
#include "service/base/proto_time.h"
#include "service/core/error.h"
#include "service/core/file_error.h"
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

}  // namespace

LiveSandbox::LiveSandbox(Context context, LiveSandboxSpec spec, int64_t ordinal)
    : context_(std::move(context)),
      spec_(std::move(spec)),
      name_(absl::StrCat("sandboxes/", base::NewId())),
      ordinal_(ordinal),
      create_time_(base::ToProto(absl::Now())),
      last_used_(context_.loop->Now()),
      main_(std::make_shared<LiveInterpreter>(InterpreterContext(),
                                              absl::StrCat(name_, "/interpreters/main"),
                                              v1::Interpreter::PROFILE_MAIN)),
      further_({.interpreter = InterpreterContext(),
                .sandbox_name = name_,
                .environment = spec_.environment,
                .python_version =
                    [this] { return context_.source->PythonVersion(spec_.template_name); },
                .maximum_count = context_.maximum_interpreters}) {}

LiveSandbox::~LiveSandbox() {
  if (!ended_) EndParts(sandbox::StopReason::kShutdown, absl::CancelledError("the server stops"));
}

LiveInterpreter::Context LiveSandbox::InterpreterContext() {
  return {.loop = context_.loop,
          .observer = context_.observer,
          .owner = this,
          .limits = spec_.limits,
          .maximum_queued = context_.maximum_queued,
          .requests = context_.requests};
}

// ---- start and end ------------------------------------------------------------------------------

absl::Status LiveSandbox::Start(StartFiles files, absl::Time deadline, StartCallback done) {
  if (!spec_.snapshot.empty()) {
    CLOISTER_RETURN_IF_ERROR(StartFromSnapshot(std::move(files)));
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
  main_->BeginStart();
}

absl::Status LiveSandbox::AwaitStart(StartCallback done, size_t maximum) {
  CLOISTER_RETURN_IF_ERROR(CheckRoomForWaiter(start_callbacks_.size(), maximum));
  start_callbacks_.push_back(std::move(done));
  return absl::OkStatus();
}

absl::Status LiveSandbox::Restart(absl::Time deadline, StartCallback done) {
  if (state_ == v1::Sandbox::STATE_STARTING) return AwaitStart(std::move(done));
  further_.EndAll(sandbox::StopReason::kRestarted,
                  LostError(v1::ERROR_REASON_SANDBOX_LOST,
                            MakeLoss(v1::Outcome::KIND_INTERRUPTED, "it was restarted", "")));
  if (state_ != v1::Sandbox::STATE_LOST) {
    LetGo(v1::Outcome::KIND_INTERRUPTED, "the sandbox was restarted");
  }
  absl::Status started = Start({}, deadline, std::move(done));
  if (!started.ok()) return started;
  ++restart_count_;
  CountUse();
  context_.observer->OnLiveRestarted(name_);
  return absl::OkStatus();
}

void LiveSandbox::OnLease(StartFiles files, absl::StatusOr<Lease> lease) {
  lease_ticket_ = 0;
  if (!lease.ok()) return FinishStart(lease.status());
  context_.source->SetAside(lease->sandbox->id());
  const auto incarnation =
      std::make_shared<Incarnation>(main_->incarnation_owner(), std::move(lease->sandbox));
  main_->Attach(incarnation, lease->start_kind);
  incarnation->sandbox()->OpenSession({spec_.limits, spec_.environment, std::move(files.files)},
                                      incarnation.get());
}

void LiveSandbox::OnInterpreterOpened(const absl::Status& status) {
  if (status.ok()) return FinishStart(absl::OkStatus());
  FailStart(status);
}

void LiveSandbox::FailStart(const absl::Status& why) {
  context_.observer->OnLiveSetupFailed(name_, why);
  if (absl::IsResourceExhausted(why)) return FinishStart(StartFilesError(spec_.limits));
  FinishStart(MakeError(
      v1::ERROR_REASON_SANDBOX_SETUP_FAILED,
      absl::StrCat("the sandbox could not be made ready; the server's log says why, for ", name_)));
}

void LiveSandbox::FinishStart(const absl::Status& status) {
  const std::weak_ptr<char> alive = alive_;
  if (status.ok()) {
    main_->Open();
    CountUse();
    context_.observer->OnLiveStarted(name_, spec_.template_name, start_kind(),
                                     last_used_ - start_requested_);
    ScheduleExpiry();
    further_.SetHome(main_->incarnation());
  } else {
    Lose(v1::Outcome::KIND_INTERPRETER_LOST, std::string(status.message()));
  }
  for (const StartCallback& done : std::exchange(start_callbacks_, {})) {
    done(status);
    if (alive.expired()) return;
  }
}

void LiveSandbox::End(LiveEnd how, const absl::Status& why) {
  if (ended_) return;
  SetState(v1::Sandbox::STATE_UNSPECIFIED);
  context_.observer->OnLiveEnded(name_, how);
  const auto callbacks = std::exchange(start_callbacks_, {});
  EndParts(StopReasonOf(how), why);
  for (const StartCallback& done : callbacks) done(why);
}

void LiveSandbox::EndParts(sandbox::StopReason reason, const absl::Status& why) {
  ended_ = true;
  if (lease_ticket_ != 0) context_.source->AbandonRequest(std::exchange(lease_ticket_, 0));
  context_.loop->Cancel(std::exchange(expiry_timer_, 0));
  files_.Shut();
  further_.EndAll(reason, why);
  if (auto incarnation = main_->Detach()) incarnation->Abandon(reason);
  main_->End(why);
  files_.Close(why);
}

void LiveSandbox::OnInterpreterLost(LiveInterpreter& interpreter, v1::Outcome::Kind cause,
                                    const std::string& detail) {
  if (&interpreter != main_.get()) return further_.Lose(interpreter, cause, detail);
  Lose(cause, detail);
}

void LiveSandbox::Lose(v1::Outcome::Kind cause, const std::string& detail) {
  context_.observer->OnLiveLost(name_, cause, detail);
  LetGo(cause, detail);
}

void LiveSandbox::LetGo(v1::Outcome::Kind cause, const std::string& detail) {
  const v1::Loss loss = MakeLoss(cause, detail, main_->current_execution());
  const absl::Status error = LostError(v1::ERROR_REASON_SANDBOX_LOST, loss);
  CountUse();
  files_.Shut();
  // A turn that is under way keeps it until its end has been told.
  const std::shared_ptr<Incarnation> incarnation = main_->Detach();
  if (incarnation != nullptr) incarnation->Abandon(sandbox::StopReason::kRestarted);
  main_->LetGo(loss, error);
  further_.LoseAll(loss, error);
  ScheduleExpiry();
  files_.Close(error);
}

// ---- interpreters -------------------------------------------------------------------------------

void LiveSandbox::OnInterpreterState(v1::Interpreter::State from, v1::Interpreter::State to) {
  if (from == v1::Interpreter::STATE_BUSY) --busy_;
  if (to == v1::Interpreter::STATE_BUSY) ++busy_;
  UpdateState();
}

void LiveSandbox::UpdateState() {
  if (ended_) return;
  switch (main_->state()) {
    case v1::Interpreter::STATE_STARTING:
      return SetState(v1::Sandbox::STATE_STARTING);
    case v1::Interpreter::STATE_LOST:
      return SetState(v1::Sandbox::STATE_LOST);
    default:
      return SetState(busy_ > 0 ? v1::Sandbox::STATE_BUSY : v1::Sandbox::STATE_READY);
  }
}

void LiveSandbox::SetState(State state) {
  if (state == state_) return;
  context_.observer->OnLiveState(state_, state);
  state_ = state;
}

absl::StatusOr<std::shared_ptr<LiveInterpreter>> LiveSandbox::FindInterpreter(
    const std::string& id) const {
  if (id == kMainInterpreter) return main_;
  return further_.Find(id);
}

absl::StatusOr<v1::Interpreter> LiveSandbox::GetInterpreter(const std::string& id) const {
  if (id == kMainInterpreter) return MainToProto();
  return further_.Get(id);
}

std::vector<v1::Interpreter> LiveSandbox::ListInterpreters() const {
  std::vector<v1::Interpreter> list = further_.List();
  list.insert(list.begin(), MainToProto());
  return list;
}

v1::Interpreter LiveSandbox::MainToProto() const {
  v1::Interpreter proto = main_->ToProto();
  *proto.mutable_create_time() = create_time_;
  proto.set_restart_count(restart_count_);
  return proto;
}

absl::Status LiveSandbox::CheckUsable() const {
  if (state_ != v1::Sandbox::STATE_LOST) return absl::OkStatus();
  return LostError(v1::ERROR_REASON_SANDBOX_LOST, main_->loss());
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
  proto.set_start_kind(start_kind());
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
  if (state_ == v1::Sandbox::STATE_LOST) *proto.mutable_loss() = main_->loss();
  proto.set_current_execution(main_->current_execution());
  proto.set_queued_execution_count(static_cast<int32_t>(main_->queued()));
  proto.set_restart_count(restart_count_);
  proto.set_execution_count(main_->execution_count());
  return proto;
}

}  // namespace cloister::core
