// Forks and snapshots: turns, idempotence, bounds, and whom they tell what.

#include "service/core/fork_manager.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/service_core/live_fixture.h"

namespace cloister::core {
namespace {

class ForkManagerTest : public LiveTest {
 protected:
  using Forked = std::optional<absl::StatusOr<std::vector<v1::Sandbox>>>;
  using Frozen = std::optional<absl::StatusOr<v1::Snapshot>>;

  static ForkRequest ForkOf(const std::string& parent, int count = 1, std::string id = "") {
    ForkRequest request;
    request.parent = parent;
    request.count = count;
    request.request_id = std::move(id);
    request.payload_digest = absl::StrCat(parent, count);
    request.limits = [](const sandbox::Limits& limits) { return limits; };
    request.ttl = absl::Hours(1);
    request.idle_timeout = absl::Hours(1);
    return request;
  }
  absl::Status Fork(ForkRequest request, Forked* told) {
    absl::Status asked = forks_.Fork(std::move(request), [told](auto forks) { *told = forks; });
    loop_.Run();
    return asked;
  }
  absl::Status Freeze(const std::string& sandbox, Frozen* told, std::string id = "") {
    SnapshotRequest request;
    request.sandbox = sandbox;
    request.request_id = std::move(id);
    request.ttl = absl::Minutes(10);
    absl::Status asked =
        forks_.CreateSnapshot(std::move(request), [told](auto made) { *told = made; });
    loop_.Run();
    return asked;
  }
  // A snapshot of `sandbox`, whose fake is `guest_`, and the snapshot's own fake.
  std::string MakeSnapshot(const std::string& sandbox) {
    Frozen told;
    EXPECT_TRUE(Freeze(sandbox, &told).ok());
    guest_->AnswerFork();
    frozen_ = Youngest();
    EXPECT_TRUE(told.has_value() && told->ok());
    return (*told)->name();
  }
  testing::FakeSandbox* Youngest() { return factory_.live().rbegin()->second; }

  ForkManager forks_{&loop_, &sandboxes_, &observer_};
  testing::FakeSandbox* frozen_ = nullptr;
};

TEST_F(ForkManagerTest, CopiesInTurnAndGoesOnFromThere) {
  const std::string parent = MakeReady();
  const auto running = Execute(parent);
  Forked told;
  ASSERT_TRUE(Fork(ForkOf(parent, 2), &told).ok());
  EXPECT_FALSE(guest_->fork().has_value()) << "not while a cell runs";
  guest_->Finish();
  loop_.Run();
  ASSERT_TRUE(guest_->fork().has_value());
  EXPECT_EQ(guest_->fork()->count, 2);
  EXPECT_EQ(State(parent), v1::Sandbox::STATE_BUSY);
  guest_->AnswerFork();
  loop_.Run();
  ASSERT_TRUE(told.has_value() && told->ok());
  ASSERT_EQ((**told).size(), 2u);
  EXPECT_EQ((**told)[0].parent(), parent);
  EXPECT_EQ((**told)[0].state(), v1::Sandbox::STATE_READY);
  EXPECT_EQ((**told)[0].execution_count(), 0);
  EXPECT_NE((**told)[0].name(), (**told)[1].name());
  EXPECT_TRUE(Youngest()->resumed());
  EXPECT_EQ(State(parent), v1::Sandbox::STATE_READY);
  // Cells go on counting where the parent was.
  (void)Execute((**told)[1].name());
  EXPECT_EQ(Youngest()->cell().number, 2);
}

TEST_F(ForkManagerTest, RepetitionsMeanwhileAndAfterwardsGiveTheSameForks) {
  const std::string parent = MakeReady();
  Forked first, second, third;
  ASSERT_TRUE(Fork(ForkOf(parent, 1, "once"), &first).ok());
  ASSERT_TRUE(Fork(ForkOf(parent, 1, "once"), &second).ok());
  EXPECT_EQ(ReasonOf(Fork(ForkOf(parent, 2, "once"), &third)),
            v1::ERROR_REASON_REQUEST_ID_REUSED);
  EXPECT_FALSE(first.has_value() || second.has_value());
  guest_->AnswerFork();
  loop_.Run();
  EXPECT_FALSE(guest_->fork().has_value()) << "copied once";
  ASSERT_TRUE(Fork(ForkOf(parent, 1, "once"), &third).ok());
  EXPECT_EQ((**first)[0].name(), (**second)[0].name());
  EXPECT_EQ((**first)[0].name(), (**third)[0].name());
  EXPECT_EQ(sandboxes_.count(), 2);

  ASSERT_TRUE(sandboxes_.Delete((**first)[0].name()).ok());
  Forked gone;
  ASSERT_TRUE(Fork(ForkOf(parent, 1, "once"), &gone).ok());
  EXPECT_EQ(ReasonOf(gone->status()), v1::ERROR_REASON_SANDBOX_NOT_FOUND);
}

TEST_F(ForkManagerTest, WhatFailedIsToldToAllWhoJoinedAndMayBeTriedAgain) {
  const std::string parent = MakeReady();
  Forked first, second;
  ASSERT_TRUE(Fork(ForkOf(parent, 1, "id"), &first).ok());
  ASSERT_TRUE(Fork(ForkOf(parent, 1, "id"), &second).ok());
  guest_->AnswerFork(absl::FailedPreconditionError("a thread is alive"));
  loop_.Run();
  for (const Forked& told : {first, second}) {
    EXPECT_EQ(ReasonOf(told->status()), v1::ERROR_REASON_FORK_REFUSED);
    EXPECT_EQ(MetadataOf(told->status(), "obstacle"), "a thread is alive");
  }
  ASSERT_TRUE(Fork(ForkOf(parent, 1, "id"), &first).ok());
  guest_->AnswerFork(absl::UnimplementedError("no ptrace"));
  EXPECT_EQ(ReasonOf(first->status()), v1::ERROR_REASON_FORK_UNSUPPORTED);
  EXPECT_EQ(Existing(), 1);
}

TEST_F(ForkManagerTest, AParentThatEndsRefusesAndTheIdIsNewAgain) {
  const std::string parent = MakeReady();
  Forked waits, asked;
  const auto running = Execute(parent);
  ASSERT_TRUE(Fork(ForkOf(parent, 1, "waits"), &waits).ok());
  ASSERT_TRUE(sandboxes_.Delete(parent).ok());
  loop_.Run();
  EXPECT_EQ(ReasonOf(waits->status()), v1::ERROR_REASON_SANDBOX_NOT_FOUND);

  const std::string other = MakeReady();
  ASSERT_TRUE(Fork(ForkOf(other, 1, "asked"), &asked).ok());
  ASSERT_TRUE(guest_->fork().has_value());
  guest_->Lose(v1::Outcome::KIND_SIGNALED);
  loop_.Run();
  EXPECT_EQ(ReasonOf(asked->status()), v1::ERROR_REASON_SANDBOX_LOST);
  EXPECT_EQ(sandboxes_.count(), 1);
  EXPECT_EQ(Existing(), 0);
}

TEST_F(ForkManagerTest, ThereAreAtMostSoMany) {
  const std::string parent = MakeReady();
  Forked told, made;
  EXPECT_EQ(ReasonOf(Fork(ForkOf(parent, 3), &told)), v1::ERROR_REASON_SANDBOX_COUNT_EXCEEDED);
  ASSERT_TRUE(Fork(ForkOf(parent, 2), &made).ok());
  // What is under way counts.
  EXPECT_EQ(ReasonOf(Create(NewRequest()).status()), v1::ERROR_REASON_SANDBOX_COUNT_EXCEEDED);
  EXPECT_EQ(ReasonOf(Fork(ForkOf(parent, 1), &told)), v1::ERROR_REASON_SANDBOX_COUNT_EXCEEDED);
  guest_->AnswerFork(absl::InternalError("no"));
  loop_.Run();
  ASSERT_FALSE(made->ok());
  ASSERT_TRUE(Fork(ForkOf(parent, 2), &made).ok()) << "its room was given back";
  guest_->AnswerFork();
  loop_.Run();
  EXPECT_TRUE(made->ok()) << made->status();
  EXPECT_EQ(sandboxes_.count(), 3);
}

TEST_F(ForkManagerTest, SnapshotsUnderWayCount) {
  const std::string parent = MakeReady();
  for (int i = 1; i < ForkManagerOptions().maximum_snapshots; ++i) (void)MakeSnapshot(parent);
  Frozen last, raced;
  ASSERT_TRUE(Freeze(parent, &last).ok());
  EXPECT_EQ(ReasonOf(Freeze(parent, &raced)), v1::ERROR_REASON_SNAPSHOT_COUNT_EXCEEDED);
  guest_->AnswerFork();
  loop_.Run();
  EXPECT_TRUE(last->ok()) << last->status();
}

TEST_F(ForkManagerTest, SnapshotsAreFoundListedAndGo) {
  const std::string parent = MakeReady();
  std::vector<std::string> names;
  for (int i = 0; i < 3; ++i) names.push_back(MakeSnapshot(parent));
  EXPECT_TRUE(frozen_->stops().empty() && !frozen_->resumed());
  EXPECT_EQ(forks_.GetSnapshot(names[0])->sandbox(), parent);
  const auto first = forks_.ListSnapshots(2, "");
  ASSERT_EQ(first->snapshots.size(), 2u);
  const auto second = forks_.ListSnapshots(2, first->next_page_token);
  ASSERT_EQ(second->snapshots.size(), 1u);
  EXPECT_EQ(second->snapshots[0].name(), names[2]);
  EXPECT_TRUE(second->next_page_token.empty());
  EXPECT_EQ(ReasonOf(forks_.ListSnapshots(2, "-1").status()), v1::ERROR_REASON_FIELD_INVALID);
  EXPECT_TRUE(forks_.DeleteSnapshot(names[0]).ok());
  EXPECT_EQ(ReasonOf(forks_.DeleteSnapshot(names[0])), v1::ERROR_REASON_SNAPSHOT_NOT_FOUND);
  loop_.Advance(absl::Minutes(11));
  EXPECT_EQ(ReasonOf(forks_.GetSnapshot(names[1]).status()), v1::ERROR_REASON_SNAPSHOT_NOT_FOUND);
}

TEST_F(ForkManagerTest, ARepeatedSnapshotIsTheSame) {
  const std::string parent = MakeReady();
  Frozen first, second;
  ASSERT_TRUE(Freeze(parent, &first, "id").ok());
  ASSERT_TRUE(Freeze(parent, &second, "id").ok());
  guest_->AnswerFork();
  loop_.Run();
  EXPECT_EQ((*first)->name(), (*second)->name());
  EXPECT_EQ(forks_.ListSnapshots(10, "")->snapshots.size(), 1u);
}

TEST_F(ForkManagerTest, OneFromASnapshotHasTheFilesAndEnvironmentItAsksFor) {
  const std::string snapshot = MakeSnapshot(MakeReady());
  CreateSandboxRequest request = NewRequest();
  request.spec.snapshot = snapshot;
  request.spec.environment = {{"A", "1"}};
  request.limits_of_copy = [](const sandbox::Limits& limits) { return limits; };
  request.files.emplace_back().set_path("data");
  Created created;
  const auto name = Create(std::move(request), &created);
  ASSERT_TRUE(name.ok()) << name.status();
  frozen_->AnswerFork();
  testing::FakeSandbox* const copy = Youngest();
  loop_.Run();
  EXPECT_EQ(State(*name), v1::Sandbox::STATE_STARTING);
  ASSERT_TRUE(copy->running());
  EXPECT_EQ(copy->program().environment().at("A"), "1");
  EXPECT_EQ(copy->program().files(0).path(), "data");
  EXPECT_TRUE(copy->cell().options.silent());
  copy->Finish();
  loop_.Run();
  ASSERT_TRUE(created->has_value() && (*created)->ok());
  EXPECT_EQ((**created)->state(), v1::Sandbox::STATE_READY);
  EXPECT_EQ((**created)->execution_count(), 0);
}

TEST_F(ForkManagerTest, FilesThatDoNotFitIntoACopyAreNoSandbox) {
  const std::string snapshot = MakeSnapshot(MakeReady());
  const std::pair<v1::Outcome::Kind, v1::ErrorReason> table[] = {
      {v1::Outcome::KIND_RAISED, v1::ERROR_REASON_WORKSPACE_FULL},
      {v1::Outcome::KIND_MEMORY_LIMIT, v1::ERROR_REASON_WORKSPACE_FULL},
      {v1::Outcome::KIND_SIGNALED, v1::ERROR_REASON_SANDBOX_SETUP_FAILED}};
  for (const auto& [kind, reason] : table) {
    CreateSandboxRequest request = NewRequest();
    request.spec.snapshot = snapshot;
    request.limits_of_copy = [](const sandbox::Limits& limits) { return limits; };
    request.files.emplace_back().set_path("data");
    Created created;
    ASSERT_TRUE(Create(std::move(request), &created).ok());
    frozen_->AnswerFork();
    Youngest()->Finish(kind);
    loop_.Run();
    EXPECT_EQ(ReasonOf((*created)->status()), reason);
  }
  EXPECT_EQ(sandboxes_.count(), 1);
}

}  // namespace
}  // namespace cloister::core
