// What tests of live sandboxes share: a manager of them beside that of executions.

#ifndef CLOISTER_TESTS_UNIT_SERVICE_CORE_LIVE_FIXTURE_H_
#define CLOISTER_TESTS_UNIT_SERVICE_CORE_LIVE_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "service/core/interpreter_manager.h"
#include "service/core/sandbox_manager.h"
#include "tests/unit/service_core/core_fixture.h"

namespace cloister::core {

class LiveTest : public ::testing::Test {
 protected:
  // As the server ends: callbacks of what is under way still find all managers.
  ~LiveTest() override { sandboxes_.EndAll(); }

  static CreateSandboxRequest NewRequest(std::string request_id = "", std::string digest = "") {
    CreateSandboxRequest request;
    request.request_id = std::move(request_id);
    request.payload_digest = std::move(digest);
    request.spec.template_name = "python";
    request.spec.limits.wall_time = absl::Seconds(7);
    request.ttl = absl::Hours(1);
    request.idle_timeout = absl::Minutes(10);
    return request;
  }

  // What Create told, once it has.
  using Created = std::shared_ptr<std::optional<absl::StatusOr<v1::Sandbox>>>;
  absl::StatusOr<std::string> Create(CreateSandboxRequest request, Created* created = nullptr) {
    auto told = std::make_shared<std::optional<absl::StatusOr<v1::Sandbox>>>();
    if (created != nullptr) *created = told;
    return sandboxes_.Create(std::move(request),
                             [told](absl::StatusOr<v1::Sandbox> sandbox) { *told = sandbox; });
  }

  // One that is ready; `guest_` is its fake.
  std::string MakeReady(CreateSandboxRequest request = NewRequest()) {
    const absl::StatusOr<std::string> name = Create(std::move(request));
    EXPECT_TRUE(name.ok()) << name.status();
    guest_ = source_.Grant();
    loop_.Run();
    EXPECT_EQ(State(*name), v1::Sandbox::STATE_READY);
    return *name;
  }

  // Sandboxes that have not been destroyed.
  int64_t Existing() const { return source_.granted - factory_.destroyed_count(); }

  v1::Sandbox::State State(const std::string& name) {
    return sandboxes_.Get(name).value_or(v1::Sandbox()).state();
  }

  std::shared_ptr<Execution> Execute(const std::string& interpreter,
                                     ExecutionMode mode = ExecutionMode::kCollect,
                                     absl::Time deadline = absl::InfiniteFuture()) {
    ExecutionRequest request;
    request.interpreter = interpreter;
    request.program.program.set_code("x = 1");
    request.mode = mode;
    request.deadline = deadline;
    auto started = executions_.Start(std::move(request));
    EXPECT_TRUE(started.ok()) << started.status();
    if (!started.ok()) return nullptr;
    subscriptions_.push_back(
        std::move((*started)->Subscribe(&listener_, ReaderRole::kOwner).value()));
    loop_.Run();
    return *started;
  }

  // Nothing that it holds is to be left when what it needs goes.
  void TearDown() override { loop_.Run(); }

  testing::FakeLoop loop_;
  testing::FakeSandboxFactory factory_{&loop_};
  FakeSource source_{&factory_};
  RecordingObserver observer_;
  CountingListener listener_;
  SandboxManager sandboxes_{
      &loop_,
      &source_,
      &observer_,
      {.maximum_count = 3, .maximum_queued = 2, .maximum_interpreters = 4, .remembered = 10}};
  ExecutionManager executions_{&loop_, &source_, &observer_, ExecutionManagerOptions(),
                               &sandboxes_};
  InterpreterManager interpreters_{&sandboxes_, &observer_};
  testing::FakeSandbox* guest_ = nullptr;
  std::vector<std::unique_ptr<Subscription>> subscriptions_;
};

}  // namespace cloister::core

#endif  // CLOISTER_TESTS_UNIT_SERVICE_CORE_LIVE_FIXTURE_H_
