#include "service/pool/sandbox_pool.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/core/error.h"
#include "service/pool/refill_policy.h"

namespace cloister::pool {
namespace {

// Weight of the newest measurement in a smoothed figure.
constexpr double kSmoothing = 0.1;
constexpr absl::Duration kMinimumRetryDelay = absl::Milliseconds(100);
constexpr absl::Duration kMaximumRetryDelay = absl::Seconds(10);

// Replacing a zygote replaces the stock as well, which takes that many forks of the new one: were
// it replaced after so few, the pool would do nothing else.
ZygoteOptions WithRoomForTheStock(ZygoteOptions zygote, int maximum_ready) {
  zygote.maximum_forks = std::max<int64_t>(zygote.maximum_forks, int64_t{2} * maximum_ready);
  return zygote;
}

}  // namespace

SandboxPool::SandboxPool(sandbox::Loop* loop, sandbox::SandboxFactory* factory,
                         core::ServiceObserver* observer, PoolOptions options)
    : loop_(loop),
      factory_(factory),
      observer_(observer),
      options_(std::move(options)),
      zygotes_(loop, factory, observer, options_.template_name,
               WithRoomForTheStock(options_.zygote, options_.maximum_ready), this),
      pace_(options_.refill_pause, options_.maximum_starting),
      queue_(loop, [this](LeaseQueue::Waiter waiter) { OnWaiterExpired(std::move(waiter)); }),
      wish_(options_.minimum_ready),
      target_(options_.minimum_ready),
      idle_sandbox_bytes_(options_.idle_sandbox_bytes),
      back_off_(options_.back_off) {}

SandboxPool::~SandboxPool() {
  *alive_ = false;
  loop_->Cancel(retry_timer_);
  loop_->Cancel(pause_timer_);
}

absl::Status SandboxPool::RequestLease(Ticket ticket, const Party& party, absl::Time deadline,
                                       core::SandboxSource::LeaseCallback done) {
  if (!refusal_.ok()) return refusal_;
  const absl::Time now = loop_->Now();
  arrivals_.Record(now);
  if (deadline <= now) {
    observer_->OnLeaseFailed(name(), core::LeaseFailure::kDeadline);
    return core::MakeError(v1::ERROR_REASON_NOT_STARTED,
                           "the deadline passed before the program could start; allow more time");
  }
  const bool ready_for_it = ready_.size() > queue_.size();
  if (!ready_for_it && zygotes_.is_hopeless() && zygotes_.current() == 0) {
    observer_->OnLeaseFailed(name(), core::LeaseFailure::kSetup);
    return core::MakeError(v1::ERROR_REASON_SANDBOX_SETUP_FAILED,
                           "the template's configuration or image is broken; the server's log and "
                           "readiness say how");
  }
  if (!ready_for_it && queue_.size() >= ready_.size() + options_.maximum_waiting &&
      !queue_.Displace(party)) {
    observer_->OnAdmission(name(), core::Admission::kShed);
    observer_->OnLeaseFailed(name(), core::LeaseFailure::kOverloaded);
    return OverloadedError(options_.maximum_waiting, RetryDelay());
  }
  observer_->OnAdmission(name(), ready_for_it ? core::Admission::kAccept : core::Admission::kQueue);
  queue_.Push(ticket, {.done = std::move(done),
                       .arrived = now,
                       .deadline = deadline,
                       .patience_end = now + options_.maximum_wait,
                       .warm = ready_for_it,
                       .party = party});
  PumpSoon();
  return absl::OkStatus();
}

void SandboxPool::AbandonRequest(Ticket ticket) {
  if (queue_.Remove(ticket)) observer_->OnLeaseFailed(name(), core::LeaseFailure::kAbandoned);
}

void SandboxPool::Drain() {
  refusal_ =
      core::MakeError(v1::ERROR_REASON_SERVER_DRAINING, "the server is about to stop; try another");
  target_ = 0;
  FailWaiters(refusal_, core::LeaseFailure::kDraining);
  while (!ready_.empty()) Discard(ready_.begin(), core::RecycleReason::kDrain);
  zygotes_.Stop();
  Pump();
}

int SandboxPool::UpdateWish() {
  const Demand demand{arrivals_.PerSecond(loop_->Now()), create_time_, options_.refill_margin};
  wish_ = Settle(wish_, DesiredReady(demand, options_.minimum_ready, options_.maximum_ready));
  return wish_;
}

void SandboxPool::Tick() {
  while (static_cast<int>(ready_.size()) > target_) {
    Discard(ready_.begin(), Staleness(ready_.front()).value_or(core::RecycleReason::kScaleDown));
  }
  Pump();
}

void SandboxPool::PumpSoon() {
  if (std::exchange(pump_scheduled_, true)) return;
  loop_->Post([this, alive = alive_] {
    if (*alive) Pump();
  });
}

void SandboxPool::Pump() {
  pump_scheduled_ = false;
  ServeWaiters();
  Refill();
  Report();
}

void SandboxPool::ServeWaiters() {
  while (!queue_.empty() && !ready_.empty()) {
    LeaseQueue::Waiter waiter = queue_.Pop();
    core::Lease lease{.sandbox = std::move(ready_.front().sandbox),
                      .start_kind = waiter.warm ? v1::START_KIND_WARM : v1::START_KIND_COLD,
                      .waited = loop_->Now() - waiter.arrived};
    ready_.pop_front();
    departed_[lease.sandbox->id()] = Fate::kLeased;
    ++leased_count_;
    pace_.OnLease(loop_->Now());
    observer_->OnLeased(name(), lease.start_kind, lease.waited);
    observer_->OnRecycled(name(), core::RecycleReason::kUsed);
    waiter.done(std::move(lease));
  }
  queue_.ArmTimers();
}

void SandboxPool::AwaitPause() {
  if (pause_timer_ != 0) return;
  pause_timer_ = loop_->CallAfter(pace_.pause_begin() - loop_->Now(), [this] {
    pause_timer_ = 0;
    Pump();
  });
}

void SandboxPool::Refill() {
  if (!refusal_.ok()) return;
  const int stock = static_cast<int>(ready_.size());
  const int at_once = pace_.AtOnce(loop_->Now(), stock, target_, !queue_.empty());
  if (at_once == 0) return AwaitPause();
  const int missing = target_ + static_cast<int>(queue_.size()) - FreshCount();
  // Stale ones still serve, but are made anew: each that becomes ready takes one's place.
  while (starting_ < missing && MayStart(at_once)) {
    if (TotalCount() >= options_.maximum) {
      DiscardOneStale();  // its successor is started when it is gone
      break;
    }
    StartOne();
  }
  while (static_cast<int>(ready_.size()) > target_ && DiscardOneStale()) {
  }
}

bool SandboxPool::MayStart(int at_once) const {
  if (zygotes_.current() == 0 || loop_->Now() < retry_at_) return false;
  // After a failure one at a time, until one succeeds.
  return starting_ < (failing_ ? 1 : at_once);
}

void SandboxPool::StartOne() {
  ++starting_;
  factory_->CreateSandbox(
      zygotes_.current(),
      [this, alive = alive_, zygote = zygotes_.current(),
       started = loop_->Now()](absl::StatusOr<std::unique_ptr<sandbox::Sandbox>> created) {
        if (*alive) OnCreated(zygote, started, std::move(created));
      });
}

void SandboxPool::OnCreated(int64_t zygote_id, absl::Time started,
                            absl::StatusOr<std::unique_ptr<sandbox::Sandbox>> created) {
  --starting_;
  const absl::Time now = loop_->Now();
  if (!created.ok()) {
    observer_->OnSandboxStartFailed(name(), created.status());
    // What a zygote that is gone could not do says nothing about its successor.
    if (absl::IsDeadlineExceeded(created.status())) zygotes_.OnForkOverdue(zygote_id, started);
    if (zygote_id == zygotes_.current()) NoteFailure(std::string(created.status().message()));
    Pump();
    return;
  }
  const absl::Duration took = now - started;
  create_time_ = produced_one_ ? create_time_ + (took - create_time_) * kSmoothing : took;
  produced_one_ = true;
  failing_ = false;
  back_off_.Reset();
  observer_->OnSandboxStarted(name(), took);
  ready_.push_back({*std::move(created), zygote_id, now});
  if (zygote_id == zygotes_.current()) zygotes_.CountFork();
  if (!refusal_.ok()) Discard(std::prev(ready_.end()), core::RecycleReason::kDrain);
  Pump();
}

void SandboxPool::OnZygoteExited(int64_t zygote_id, const std::string& reason) {
  zygotes_.OnZygoteExited(zygote_id, reason);
}

void SandboxPool::OnIdleSandboxLost(int64_t sandbox_id) {
  const auto lost = std::find_if(ready_.begin(), ready_.end(), [&](const Idle& idle) {
    return idle.sandbox->id() == sandbox_id;
  });
  if (lost == ready_.end()) return;
  Discard(lost, core::RecycleReason::kLost);
  // Sandboxes that die as soon as they are made must not be made in a busy circle.
  NoteFailure("a ready sandbox died before it was used");
  Pump();
}

void SandboxPool::OnSandboxGone(const sandbox::SandboxExit& exit) {
  const auto departed = departed_.find(exit.sandbox_id);
  if (departed == departed_.end()) return;
  if (departed->second == Fate::kLeased) {
    --leased_count_;
  } else if (departed->second == Fate::kLive) {
    --live_count_;
  } else if (exit.peak_memory_bytes > 0) {
    // Never ran a program: its peak is what an idle one holds.
    idle_sandbox_bytes_ += static_cast<int64_t>(
        kSmoothing * static_cast<double>(exit.peak_memory_bytes - idle_sandbox_bytes_));
  }
  departed_.erase(departed);
  observer_->OnSandboxGone(name(), exit);
  Pump();
}

void SandboxPool::SetAside(int64_t sandbox_id) {
  const auto departed = departed_.find(sandbox_id);
  if (departed == departed_.end() || departed->second != Fate::kLeased) return;
  departed->second = Fate::kLive;
  --leased_count_;
  ++live_count_;
  PumpSoon();
}

void SandboxPool::OnSpawnerLost(const std::string& reason) {
  last_error_ = absl::StrCat("the spawner is gone: ", reason);
  refusal_ = core::MakeError(v1::ERROR_REASON_SANDBOX_SETUP_FAILED,
                             "the helper that makes sandboxes is gone; restart the server");
  FailWaiters(refusal_, core::LeaseFailure::kSetup);
  zygotes_.Stop();
  ready_.clear();
  departed_.clear();  // nobody is left to tell of their end
  leased_count_ = 0;
  live_count_ = 0;
  Pump();
}

void SandboxPool::OnZygoteReady() {
  // A new zygote deserves a try at once.
  retry_at_ = absl::InfinitePast();
  loop_->Cancel(std::exchange(retry_timer_, 0));
  Pump();
}

void SandboxPool::OnZygoteLost(int64_t zygote_id) {
  for (auto idle = ready_.begin(); idle != ready_.end();) {
    idle = idle->zygote_id == zygote_id ? Discard(idle, core::RecycleReason::kLost) : idle + 1;
  }
  Pump();
}

void SandboxPool::NoteFailure(const std::string& what) {
  last_error_ = what;
  failing_ = true;
  // Forks that fail together count as one failure.
  if (loop_->Now() < retry_at_) return;
  const absl::Duration delay = back_off_.Next();
  retry_at_ = loop_->Now() + delay;
  loop_->Cancel(retry_timer_);
  retry_timer_ = loop_->CallAfter(delay, [this] {
    retry_timer_ = 0;
    Pump();
  });
}

void SandboxPool::OnWaiterExpired(LeaseQueue::Waiter waiter) {
  if (waiter.is_displaced) {
    observer_->OnLeaseFailed(name(), core::LeaseFailure::kOverloaded);
    waiter.done(OverloadedError(options_.maximum_waiting, RetryDelay()));
  } else if (waiter.deadline <= loop_->Now()) {
    observer_->OnLeaseFailed(name(), core::LeaseFailure::kDeadline);
    waiter.done(core::MakeError(v1::ERROR_REASON_NOT_STARTED,
                                "the deadline passed while the program waited for a sandbox; allow "
                                "more time or send less at once"));
  } else if (const std::string why = WhyNotHealthy(); !why.empty()) {
    observer_->OnLeaseFailed(name(), core::LeaseFailure::kSetup);
    waiter.done(core::MakeError(v1::ERROR_REASON_SANDBOX_SETUP_FAILED,
                                "no sandbox could be made; the server's log says why"));
  } else {
    observer_->OnLeaseFailed(name(), core::LeaseFailure::kExhausted);
    waiter.done(core::WithRetryDelay(
        core::MakeError(v1::ERROR_REASON_POOL_EXHAUSTED,
                        absl::StrCat("no sandbox became free within ",
                                     absl::FormatDuration(options_.maximum_wait), "; retry later")),
        RetryDelay()));
  }
  Report();
}

void SandboxPool::FailWaiters(const absl::Status& error, core::LeaseFailure reason) {
  while (!queue_.empty()) {
    observer_->OnLeaseFailed(name(), reason);
    queue_.Pop().done(error);
  }
}

std::optional<core::RecycleReason> SandboxPool::Staleness(const Idle& idle) const {
  // While there is no other zygote the sandboxes of the last one are as good as any.
  if (zygotes_.current() != 0 && idle.zygote_id != zygotes_.current()) {
    return core::RecycleReason::kRotated;
  }
  if (loop_->Now() - idle.ready_since >= options_.maximum_age) return core::RecycleReason::kAge;
  return std::nullopt;
}

int SandboxPool::FreshCount() const {
  return static_cast<int>(std::count_if(ready_.begin(), ready_.end(), [this](const Idle& idle) {
    return !Staleness(idle).has_value();
  }));
}

bool SandboxPool::DiscardOneStale() {
  for (auto idle = ready_.begin(); idle != ready_.end(); ++idle) {
    if (const auto reason = Staleness(*idle)) {
      Discard(idle, *reason);
      return true;
    }
  }
  return false;
}

SandboxPool::IdleList::iterator SandboxPool::Discard(IdleList::iterator idle,
                                                     core::RecycleReason reason) {
  departed_[idle->sandbox->id()] = Fate::kDiscarded;
  observer_->OnRecycled(name(), reason);
  return ready_.erase(idle);
}

int SandboxPool::TotalCount() const {
  return static_cast<int>(ready_.size() + departed_.size()) + starting_;
}

absl::Duration SandboxPool::RetryDelay() const {
  // When those who wait now should have been served.
  const absl::Duration backlog =
      create_time_ * (static_cast<double>(queue_.size()) / options_.maximum_starting);
  return std::clamp(backlog, kMinimumRetryDelay, kMaximumRetryDelay);
}

std::string SandboxPool::WhyNotHealthy() const {
  if (!refusal_.ok()) return std::string(refusal_.message());
  if (!ready_.empty()) return "";
  const std::string cause = failing_ ? last_error_ : zygotes_.last_error();
  if (zygotes_.current() == 0) {
    return absl::StrCat("template ", name(),
                        zygotes_.is_hopeless()
                            ? " cannot work before its configuration or image is corrected: "
                            : " has no zygote: ",
                        cause.empty() ? "it is being warmed" : cause);
  }
  if (failing_) return absl::StrCat("template ", name(), " makes no sandboxes: ", cause);
  if (!produced_one_) return absl::StrCat("template ", name(), " has no sandbox ready yet");
  return "";
}

core::PoolState SandboxPool::State() const {
  core::PoolState state;
  state.ready = static_cast<int>(ready_.size());
  state.starting = starting_;
  state.leased = leased_count_;
  state.live = live_count_;
  state.recycling = static_cast<int>(departed_.size()) - leased_count_ - live_count_;
  state.target = target_;
  state.minimum = options_.minimum_ready;
  state.maximum = options_.maximum;
  state.waiting = static_cast<int>(queue_.size());
  state.not_healthy_reason = WhyNotHealthy();
  state.healthy = state.not_healthy_reason.empty();
  state.last_error = last_error_.empty() ? zygotes_.last_error() : last_error_;
  state.python_version = zygotes_.python_version();
  state.idle_sandbox_bytes = idle_sandbox_bytes_;
  return state;
}

}  // namespace cloister::pool
