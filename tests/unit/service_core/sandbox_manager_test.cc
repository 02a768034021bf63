// The life of live sandboxes: creation, idempotence, expiry, bounds, lists, the server's end.

#include "service/core/sandbox_manager.h"

#include <string>

#include "tests/unit/service_core/live_fixture.h"

namespace cloister::core {
namespace {

class SandboxManagerTest : public LiveTest {};

TEST_F(SandboxManagerTest, CreationIsToldWhenTheInterpreterWaits) {
  Created created;
  CreateSandboxRequest request = NewRequest();
  request.spec.environment = {{"A", "1"}};
  request.files.emplace_back().set_path("data");
  const auto name = Create(std::move(request), &created);
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(State(*name), v1::Sandbox::STATE_STARTING);
  guest_ = source_.Grant();
  EXPECT_FALSE(created->has_value());
  EXPECT_EQ(guest_->session()->environment.size(), 1u);
  EXPECT_EQ(guest_->session()->files.size(), 1u);
  loop_.Run();
  ASSERT_TRUE(created->has_value() && (*created)->ok());
  EXPECT_EQ((**created)->name(), *name);
  EXPECT_EQ((**created)->state(), v1::Sandbox::STATE_READY);
  EXPECT_EQ((**created)->start_kind(), v1::START_KIND_WARM);
  EXPECT_EQ(source_.set_aside, std::vector<int64_t>{guest_->id()});
}

TEST_F(SandboxManagerTest, WhatCannotBeLeasedOrOpenedIsNoSandbox) {
  Created created;
  const auto name = Create(NewRequest("id", "digest"), &created);
  source_.Refuse(MakeError(v1::ERROR_REASON_POOL_EXHAUSTED, "none"));
  EXPECT_EQ(ReasonOf((*created)->status()), v1::ERROR_REASON_POOL_EXHAUSTED);
  EXPECT_EQ(sandboxes_.count(), 0);

  factory_.session_error = absl::ResourceExhaustedError("no room for files");
  const auto second = Create(NewRequest("id", "digest"), &created);
  ASSERT_TRUE(second.ok()) << "a failed creation may be tried again under its request_id";
  source_.Grant();
  loop_.Run();
  EXPECT_EQ(ReasonOf((*created)->status()), v1::ERROR_REASON_WORKSPACE_FULL);
  EXPECT_EQ(sandboxes_.count(), 0);
  EXPECT_EQ(Existing(), 0);
}

TEST_F(SandboxManagerTest, OnlySoManyWaitForOneStart) {
  const auto name = Create(NewRequest("id", "digest"));
  size_t told = 0;
  const auto count = [&told](const auto&) { ++told; };
  for (size_t i = 1; i < kMaximumWaiters; ++i) {
    ASSERT_TRUE(sandboxes_.Restart(*name, absl::InfiniteFuture(), count).ok());
  }
  EXPECT_EQ(ReasonOf(sandboxes_.Restart(*name, absl::InfiniteFuture(), count)),
            v1::ERROR_REASON_OVERLOADED);
  EXPECT_EQ(ReasonOf(Create(NewRequest("id", "digest")).status()), v1::ERROR_REASON_OVERLOADED);
  source_.Grant();
  loop_.Run();
  EXPECT_EQ(told, kMaximumWaiters - 1);
}

TEST_F(SandboxManagerTest, TheSameRequestIdIsTheSameSandbox) {
  Created first, second, third;
  const auto name = Create(NewRequest("id", "digest"), &first);
  EXPECT_EQ(*Create(NewRequest("id", "digest"), &second), *name);
  EXPECT_EQ(ReasonOf(Create(NewRequest("id", "other")).status()),
            v1::ERROR_REASON_REQUEST_ID_REUSED);
  EXPECT_EQ(source_.pending.size(), 1u);
  source_.Grant();
  loop_.Run();
  EXPECT_EQ((**first)->name(), (**second)->name());
  EXPECT_EQ(*Create(NewRequest("id", "digest"), &third), *name);
  EXPECT_EQ((**third)->name(), *name);
  ASSERT_TRUE(sandboxes_.Delete(*name).ok());
  EXPECT_EQ(ReasonOf(Create(NewRequest("id", "digest")).status()),
            v1::ERROR_REASON_SANDBOX_NOT_FOUND);
}

TEST_F(SandboxManagerTest, ACreationNobodyWaitsForAnyMoreIsEnded) {
  const auto name = Create(NewRequest("id", "digest"));
  (void)Create(NewRequest("id", "digest"));
  sandboxes_.Abandon(*name);
  EXPECT_EQ(sandboxes_.count(), 1) << "one still waits";
  sandboxes_.Abandon(*name);
  EXPECT_EQ(sandboxes_.count(), 0);
  EXPECT_TRUE(source_.pending.empty());
}

TEST_F(SandboxManagerTest, OneThatIsReadyIsNotAbandoned) {
  const std::string name = MakeReady();
  sandboxes_.Abandon(name);
  EXPECT_EQ(State(name), v1::Sandbox::STATE_READY);
}

TEST_F(SandboxManagerTest, ThereAreAtMostSoMany) {
  for (int i = 0; i < 3; ++i) (void)MakeReady();
  for (int i = 0; i < 10'000; ++i) {
    const auto refused = Create(NewRequest());
    ASSERT_EQ(ReasonOf(refused.status()), v1::ERROR_REASON_SANDBOX_COUNT_EXCEEDED);
    ASSERT_EQ(MetadataOf(refused.status(), "maximum"), "3");
  }
  EXPECT_TRUE(source_.pending.empty());
}

TEST_F(SandboxManagerTest, ItExpiresAfterItsTtlEvenDuringAnExecution) {
  CreateSandboxRequest request = NewRequest();
  request.ttl = absl::Minutes(1);
  const std::string name = MakeReady(std::move(request));
  const auto execution = Execute(name);
  loop_.Advance(absl::Seconds(59));
  EXPECT_EQ(State(name), v1::Sandbox::STATE_BUSY);
  loop_.Advance(absl::Seconds(2));
  loop_.Run();
  EXPECT_EQ(execution->result().outcome.kind(), v1::Outcome::KIND_INTERRUPTED);
  const absl::Status gone = sandboxes_.Get(name).status();
  EXPECT_EQ(ReasonOf(gone), v1::ERROR_REASON_SANDBOX_EXPIRED);
  EXPECT_EQ(MetadataOf(gone, "cause"), "ttl");
}

TEST_F(SandboxManagerTest, ItExpiresWhenIdleForTooLongAndUseCounts) {
  const std::string name = MakeReady();
  loop_.Advance(absl::Minutes(9));
  (void)Execute(name);
  loop_.Advance(absl::Minutes(20));
  EXPECT_EQ(State(name), v1::Sandbox::STATE_BUSY) << "an execution is use";
  guest_->Finish();
  loop_.Advance(absl::Minutes(9));
  EXPECT_EQ(State(name), v1::Sandbox::STATE_READY);
  loop_.Advance(absl::Minutes(11));
  EXPECT_EQ(MetadataOf(sandboxes_.Get(name).status(), "cause"), "idle_timeout");
  EXPECT_EQ(Existing(), 0);
}

TEST_F(SandboxManagerTest, UpdateMovesItsTimes) {
  const std::string name = MakeReady();
  ASSERT_TRUE(sandboxes_.Update(name, absl::Hours(5), absl::Hours(3)).ok());
  loop_.Advance(absl::Hours(2));
  EXPECT_EQ(State(name), v1::Sandbox::STATE_READY);
  ASSERT_TRUE(sandboxes_.Update(name, absl::Minutes(1), std::nullopt).ok());
  loop_.Advance(absl::Minutes(2));
  EXPECT_EQ(ReasonOf(sandboxes_.Get(name).status()), v1::ERROR_REASON_SANDBOX_EXPIRED);
}

TEST_F(SandboxManagerTest, UnknownNamesAreNotFound) {
  const std::string name = MakeReady();
  for (const char* other : {"sandboxes/nobody", "", "executions/x", "sandboxes/"}) {
    EXPECT_EQ(ReasonOf(sandboxes_.Get(other).status()), v1::ERROR_REASON_SANDBOX_NOT_FOUND);
    EXPECT_EQ(ReasonOf(sandboxes_.FindInterpreter(other).status()),
              v1::ERROR_REASON_SANDBOX_NOT_FOUND);
  }
  EXPECT_EQ(ReasonOf(sandboxes_.FindInterpreter(name + "/interpreters/two").status()),
            v1::ERROR_REASON_INTERPRETER_NOT_FOUND);
  EXPECT_TRUE(sandboxes_.FindInterpreter(name + "/interpreters/main").ok());
}

TEST_F(SandboxManagerTest, ListsInPagesByCreation) {
  std::vector<std::string> names;
  for (int i = 0; i < 3; ++i) names.push_back(MakeReady());
  const auto first = sandboxes_.List(2, "");
  ASSERT_EQ(first->sandboxes.size(), 2u);
  EXPECT_EQ(first->sandboxes[0].name(), names[0]);
  ASSERT_FALSE(first->next_page_token.empty());
  ASSERT_TRUE(sandboxes_.Delete(names[1]).ok());
  const auto second = sandboxes_.List(2, first->next_page_token);
  ASSERT_EQ(second->sandboxes.size(), 1u);
  EXPECT_EQ(second->sandboxes[0].name(), names[2]);
  EXPECT_TRUE(second->next_page_token.empty());
  EXPECT_EQ(ReasonOf(sandboxes_.List(2, "x").status()), v1::ERROR_REASON_FIELD_INVALID);
}

TEST_F(SandboxManagerTest, ADrainRefusesNewOnesAndTheEndTakesAll) {
  const std::string name = MakeReady();
  Created created;
  (void)Create(NewRequest(), &created);
  sandboxes_.BeginDrain();
  EXPECT_EQ(ReasonOf(Create(NewRequest()).status()), v1::ERROR_REASON_SERVER_DRAINING);
  EXPECT_NE(Execute(name), nullptr) << "executions are refused by their manager";
  guest_->Finish();
  sandboxes_.EndAll();
  EXPECT_EQ(ReasonOf((*created)->status()), v1::ERROR_REASON_SERVER_DRAINING);
  loop_.Run();
  EXPECT_EQ(Existing(), 0);
}

}  // namespace
}  // namespace cloister::core
