// What tests of the pool share: one or more pools over a fake factory, and a memory of what callers
// and the observer were told.

#ifndef CLOISTER_TESTS_UNIT_SERVICE_POOL_POOL_FIXTURE_H_
#define CLOISTER_TESTS_UNIT_SERVICE_POOL_POOL_FIXTURE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "service/core/error.h"
#include "service/pool/pool_set.h"
#include "tests/support/fake_loop.h"
#include "tests/support/fake_sandbox.h"

namespace cloister::pool {

class RecordingObserver final : public core::ServiceObserver {
 public:
  void OnAdmission(const std::string&, core::Admission decision) override {
    admissions.push_back(decision);
  }
  void OnLeaseFailed(const std::string&, core::LeaseFailure reason) override {
    failures.push_back(reason);
  }
  void OnRecycled(const std::string&, core::RecycleReason reason) override {
    recycles.push_back(reason);
  }
  void OnSandboxStartFailed(const std::string&, const absl::Status&) override { ++start_failures; }
  void OnZygoteEnded(const std::string&, core::ZygoteEnd how, const std::string&) override {
    zygote_ends.push_back(how);
  }
  void OnSpawnerLost(const std::string&) override { spawner_lost = true; }

  int CountRecycles(core::RecycleReason reason) const {
    return static_cast<int>(std::count(recycles.begin(), recycles.end(), reason));
  }

  std::vector<core::Admission> admissions;
  std::vector<core::LeaseFailure> failures;
  std::vector<core::RecycleReason> recycles;
  std::vector<core::ZygoteEnd> zygote_ends;
  int start_failures = 0;
  bool spawner_lost = false;
};

// The answer to one request.
struct Answer {
  std::optional<absl::StatusOr<core::Lease>> lease;
  core::SandboxSource::Ticket ticket = 0;

  bool pending() const { return !lease.has_value(); }
  bool granted() const { return lease.has_value() && lease->ok(); }
  v1::ErrorReason reason() const {
    return lease.has_value() ? core::ReasonOf(lease->status()) : v1::ERROR_REASON_UNSPECIFIED;
  }
  v1::StartKind start_kind() const { return (*lease)->start_kind; }
  int64_t sandbox_id() const { return (*lease)->sandbox->id(); }
  void Drop() { lease.reset(); }
};

class PoolTest : public ::testing::Test {
 protected:
  PoolTest() {
    options_.template_name = "python";
    options_.minimum_ready = 4;
    options_.maximum_ready = 8;
    options_.maximum = 16;
    options_.maximum_waiting = 3;
    options_.refill_pause = absl::ZeroDuration();
    options_.maximum_wait = absl::Seconds(10);
    options_.back_off = {.initial = absl::Milliseconds(100),
                         .maximum = absl::Seconds(1),
                         .factor = 2,
                         .jitter = 0};
    options_.zygote.back_off = options_.back_off;
  }

  // The pool with options_, filled as far as the factory lets it.
  void StartPool(int64_t idle_memory_budget_bytes = int64_t{1} << 40) {
    StartPools({options_}, idle_memory_budget_bytes);
  }
  void StartPools(std::vector<PoolOptions> pools, int64_t idle_memory_budget_bytes) {
    pools_.emplace(&loop_, &factory_, &observer_,
                   PoolSetOptions{.pools = std::move(pools),
                                  .idle_memory_budget_bytes = idle_memory_budget_bytes,
                                  .tick = absl::Milliseconds(200)});
    pools_->Start();
    loop_.Run();
  }

  // Asks, and lets the loop run one turn unless told otherwise.
  std::shared_ptr<Answer> Ask(absl::Duration deadline = absl::InfiniteDuration(),
                              const std::string& template_name = "python") {
    auto answer = AskWithoutRunning(deadline, template_name);
    loop_.Run();
    return answer;
  }
  std::shared_ptr<Answer> AskWithoutRunning(absl::Duration deadline = absl::InfiniteDuration(),
                                            const std::string& template_name = "python") {
    auto answer = std::make_shared<Answer>();
    auto ticket = pools_->RequestLease(
        template_name, loop_.Now() + deadline,
        [answer](absl::StatusOr<core::Lease> lease) { answer->lease = std::move(lease); });
    if (ticket.ok()) {
      answer->ticket = *ticket;
    } else {
      answer->lease = std::move(ticket).status();
    }
    return answer;
  }

  core::PoolState State(size_t index = 0) const { return pools_->Snapshot()[index].second; }

  testing::FakeLoop loop_;
  testing::FakeSandboxFactory factory_{&loop_};
  RecordingObserver observer_;
  PoolOptions options_;
  std::optional<PoolSet> pools_;
};

}  // namespace cloister::pool

#endif  // CLOISTER_TESTS_UNIT_SERVICE_POOL_POOL_FIXTURE_H_
