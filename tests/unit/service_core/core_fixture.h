// What tests of executions share: a source that hands out fake sandboxes when told to, and readers
// that remember what they were told.

#ifndef CLOISTER_TESTS_UNIT_SERVICE_CORE_CORE_FIXTURE_H_
#define CLOISTER_TESTS_UNIT_SERVICE_CORE_CORE_FIXTURE_H_

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "service/core/error.h"
#include "service/core/execution_manager.h"
#include "tests/support/fake_loop.h"
#include "tests/support/fake_sandbox.h"

namespace cloister::core {

class FakeSource final : public SandboxSource {
 public:
  explicit FakeSource(testing::FakeSandboxFactory* factory) : factory_(factory) {}

  // Not OK: refuses at once.
  absl::Status refusal;

  absl::StatusOr<Ticket> RequestLease(const std::string& template_name, absl::Time deadline,
                                      LeaseCallback done) override {
    if (!refusal.ok()) return refusal;
    last_template = template_name;
    last_deadline = deadline;
    pending[++last_ticket_] = std::move(done);
    return last_ticket_;
  }
  void AbandonRequest(Ticket ticket) override { pending.erase(ticket); }
  std::string PythonVersion(const std::string& /*template_name*/) const override {
    return python_version;
  }
  void SetAside(int64_t sandbox_id) override { set_aside.push_back(sandbox_id); }

  // Answers the oldest request; the sandbox stays the execution's.
  testing::FakeSandbox* Grant(absl::Duration waited = absl::Milliseconds(3)) {
    auto sandbox = std::make_unique<testing::FakeSandbox>(factory_, ++last_sandbox_, 1);
    testing::FakeSandbox* raw = sandbox.get();
    ++granted;
    TakeOldest()(Lease{std::move(sandbox), v1::START_KIND_WARM, waited});
    return raw;
  }
  void Refuse(absl::Status why) { TakeOldest()(std::move(why)); }

  std::map<Ticket, LeaseCallback> pending;
  std::vector<int64_t> set_aside;
  int64_t granted = 0;
  std::string python_version = "3.14.10";
  std::string last_template;
  absl::Time last_deadline;

 private:
  LeaseCallback TakeOldest() { return std::move(pending.extract(pending.begin()).mapped()); }

  testing::FakeSandboxFactory* const factory_;
  Ticket last_ticket_ = 0;
  int64_t last_sandbox_ = 1000;
};

class CountingListener final : public ExecutionListener {
 public:
  void OnProgress() override { ++progress; }
  int progress = 0;
};

class RecordingObserver final : public ServiceObserver {
 public:
  void OnExecutionAccepted(ExecutionKind) override { ++accepted; }
  void OnExecutionStarted(ExecutionKind, absl::Duration) override { ++started; }
  void OnExecutionEnded(const ExecutionRecord& record) override {
    ended.push_back(record.outcome.kind());
    statuses.push_back(record.status);
    setup_errors.push_back(record.setup_error);
  }
  void OnInterrupted(InterruptResult result, absl::Duration) override {
    interrupts.push_back(result);
  }
  void OnReplay(ReplayResult result) override { replays.push_back(result); }
  void OnReattach(ReattachResult result) override { reattaches.push_back(result); }
  void OnInterpreterMemory(v1::Interpreter::Profile, int64_t change) override {
    interpreter_memory += change;
  }
  void OnStreamStalled() override { ++stalls; }
  void OnHostCall(HostCallResult result, absl::Duration) override { host_calls.push_back(result); }
  void OnClientConnected(int change) override { connected += change; }
  void OnBufferedBytes(int64_t change) override { buffered += change; }

  int accepted = 0;
  int started = 0;
  int stalls = 0;
  int connected = 0;
  std::vector<HostCallResult> host_calls;
  int64_t buffered = 0;
  int64_t interpreter_memory = 0;
  std::vector<v1::Outcome::Kind> ended;
  std::vector<absl::Status> statuses;
  std::vector<std::string> setup_errors;
  std::vector<InterruptResult> interrupts;
  std::vector<ReplayResult> replays;
  std::vector<ReattachResult> reattaches;
};

class CoreTest : public ::testing::Test {
 protected:
  static constexpr int64_t kEverything = int64_t{1} << 40;

  static ExecutionRequest Request(ExecutionMode mode, std::string request_id = "",
                                  std::string digest = "") {
    ExecutionRequest request;
    request.request_id = std::move(request_id);
    request.payload_digest = std::move(digest);
    request.template_name = "python";
    request.program.program.set_code("print(1)");
    request.mode = mode;
    return request;
  }

  std::shared_ptr<Execution> Start(ExecutionRequest request) {
    auto started = manager_.Start(std::move(request));
    EXPECT_TRUE(started.ok()) << started.status();
    return started.ok() ? *started : nullptr;
  }

  std::unique_ptr<Subscription> Own(Execution& execution) {
    return std::move(execution.Subscribe(&listener_, ReaderRole::kOwner).value());
  }

  testing::FakeLoop loop_;
  testing::FakeSandboxFactory factory_{&loop_};
  FakeSource source_{&factory_};
  RecordingObserver observer_;
  CountingListener listener_;
  ExecutionManager manager_{&loop_,
                            &source_,
                            &observer_,
                            {.retention = {.time = absl::Seconds(60), .count = 3, .bytes = 1 << 20},
                             .stream = {.retained_bytes = 8000, .high_watermark_bytes = 4000}}};
};

}  // namespace cloister::core

#endif  // CLOISTER_TESTS_UNIT_SERVICE_CORE_CORE_FIXTURE_H_
