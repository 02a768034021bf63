// Ready sandboxes of one template: hands them out, and makes new ones beside the request path.
//
// A sandbox is handed out once and never comes back. The oldest ready one goes first: at any steady
// rate the stock then turns over by itself and the age limit has nothing to throw away.

#ifndef CLOISTER_SERVICE_POOL_SANDBOX_POOL_H_
#define CLOISTER_SERVICE_POOL_SANDBOX_POOL_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "sandbox/base/loop.h"
#include "sandbox/sandbox.h"
#include "service/base/back_off.h"
#include "service/core/observer.h"
#include "service/core/pool_state.h"
#include "service/core/sandbox_source.h"
#include "service/pool/arrival_rate.h"
#include "service/pool/lease_queue.h"
#include "service/pool/pool_options.h"
#include "service/pool/refill_pace.h"
#include "service/pool/zygote_keeper.h"

namespace cloister::pool {

// Thread-safety: loop thread only. Ownership: owns the ready sandboxes; nothing it is given.
class SandboxPool final : private ZygoteKeeper::Listener {
 public:
  using Ticket = core::SandboxSource::Ticket;

  SandboxPool(sandbox::Loop* loop, sandbox::SandboxFactory* factory,
              core::ServiceObserver* observer, PoolOptions options);
  ~SandboxPool() override;

  const std::string& name() const { return options_.template_name; }
  // Its state is not told: there is one gauge for each template, its other pool's.
  bool for_sessions() const { return options_.for_sessions; }

  // Idempotent.
  void Start() {
    if (!std::exchange(started_, true)) zygotes_.Start();
  }

  // As core::SandboxSource; tickets are chosen by the caller, in rising order.
  absl::Status RequestLease(Ticket ticket, const Party& party, absl::Time deadline,
                            core::SandboxSource::LeaseCallback done);
  void AbandonRequest(Ticket ticket);
  // Ids of other pools are ignored.
  void SetAside(int64_t sandbox_id);

  // Discards what is idle, stops the zygote, refuses leases. Then wait for empty().
  void Drain();
  // Nothing exists or is being made.
  bool empty() const { return TotalCount() == 0 && live_count_ == 0; }

  // How many it would keep ready now if memory were no matter, and what each is thought to hold.
  int UpdateWish();
  int64_t idle_sandbox_bytes() const { return idle_sandbox_bytes_; }
  // How many it is to keep ready.
  void SetTarget(int target) { target_ = target; }
  // Now and then: drops what is too many, replaces what is too old.
  void Tick();

  core::PoolState State() const;

  // From the factory; ids of other pools are ignored.
  void OnZygoteExited(int64_t zygote_id, const std::string& reason);
  void OnIdleSandboxLost(int64_t sandbox_id);
  void OnSandboxGone(const sandbox::SandboxExit& exit);
  void OnSpawnerLost(const std::string& reason);

 private:
  void Report() {
    if (for_sessions()) return observer_->OnLivePoolState(name(), State());
    observer_->OnPoolState(name(), State());
  }
  enum class Fate { kLeased, kLive, kDiscarded };

  struct Idle {
    std::unique_ptr<sandbox::Sandbox> sandbox;
    int64_t zygote_id;
    absl::Time ready_since;
  };
  using IdleList = std::deque<Idle>;  // oldest first

  // Serves who waits, then makes what is missing, then tells the observer. Everything that changes
  // anything ends here.
  void Pump();
  void PumpSoon();
  void ServeWaiters();
  void Refill();
  void AwaitPause();
  bool MayStart(int at_once) const;
  void StartOne();
  void OnCreated(int64_t zygote_id, absl::Time started,
                 absl::StatusOr<std::unique_ptr<sandbox::Sandbox>> created);

  // Why it is to be replaced, if it is.
  std::optional<core::RecycleReason> Staleness(const Idle& idle) const;
  int FreshCount() const;
  // Whether there was one.
  bool DiscardOneStale();
  IdleList::iterator Discard(IdleList::iterator idle, core::RecycleReason reason);

  // Whoever makes sandboxes fail is left alone for a while.
  void NoteFailure(const std::string& what);
  void FailWaiters(const absl::Status& error, core::LeaseFailure reason);
  void OnWaiterExpired(LeaseQueue::Waiter waiter);
  absl::Duration RetryDelay() const;
  // Live ones excepted.
  int TotalCount() const;
  std::string WhyNotHealthy() const;

  // ZygoteKeeper::Listener
  void OnZygoteReady() override;
  void OnZygoteLost(int64_t zygote_id) override;

  sandbox::Loop* const loop_;
  sandbox::SandboxFactory* const factory_;
  core::ServiceObserver* const observer_;
  const PoolOptions options_;
  ZygoteKeeper zygotes_;
  RefillPace pace_;
  LeaseQueue queue_;
  ArrivalRate arrivals_;
  IdleList ready_;
  int starting_ = 0;
  // Handed out or discarded, until nothing is left of them.
  std::unordered_map<int64_t, Fate> departed_;
  int leased_count_ = 0;  // of departed_
  int live_count_ = 0;    // of departed_
  int wish_;
  int target_;
  absl::Duration create_time_ = absl::ZeroDuration();  // smoothed; zero before the first
  int64_t idle_sandbox_bytes_;
  base::BackOff back_off_;
  bool failing_ = false;  // since the last sandbox that became ready
  absl::Time retry_at_ = absl::InfinitePast();
  sandbox::Loop::TimerId retry_timer_ = 0;
  std::string last_error_;
  bool produced_one_ = false;
  bool started_ = false;
  // Not OK: refuses leases with it.
  absl::Status refusal_;
  bool pump_scheduled_ = false;
  sandbox::Loop::TimerId pause_timer_ = 0;
  // Lets answers that arrive after the destructor be recognised.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace cloister::pool

#endif  // CLOISTER_SERVICE_POOL_SANDBOX_POOL_H_
