// Which executions a map has going, and in which order it tells of them.

#include "service/core/program_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/service_core/core_fixture.h"

namespace cloister::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ProgramMapTest : public CoreTest {
 protected:
  void Begin(ProgramMapOptions options) {
    map_ = std::make_unique<ProgramMap>(
        &manager_, options, std::move(compilation_),
        [this](int index) {
          asked_.push_back(index);
          return Request(ExecutionMode::kCollect);
        },
        [this] { ++progress_; }, [this](int index) { started_.push_back(index); });
    map_->Start();
  }
  // All that wait get their sandboxes, in order.
  void GrantAll() {
    while (!source_.pending.empty()) sandboxes_.push_back(source_.Grant());
  }
  void Finish(size_t index, v1::Outcome::Kind kind = v1::Outcome::KIND_SUCCEEDED) {
    sandboxes_[index]->Finish(kind);
    loop_.Run();
  }
  std::vector<int> TakeAll() {
    std::vector<int> indices;
    while (auto result = map_->Take()) indices.push_back(result->index);
    return indices;
  }

  std::optional<ExecutionRequest> compilation_;
  std::vector<int> asked_;
  std::vector<int> started_;
  std::vector<testing::FakeSandbox*> sandboxes_;
  int progress_ = 0;
  std::unique_ptr<ProgramMap> map_;
};

TEST_F(ProgramMapTest, StartsNoMoreThanItsConcurrency) {
  Begin({.count = 5, .concurrency = 2});
  EXPECT_THAT(asked_, ElementsAre(0, 1));
  GrantAll();
  Finish(0);
  EXPECT_EQ(progress_, 1);
  EXPECT_THAT(asked_, ElementsAre(0, 1, 2));
  EXPECT_THAT(TakeAll(), ElementsAre(0));
  EXPECT_FALSE(map_->AtEnd());
}

TEST_F(ProgramMapTest, ResultsThatNobodyTakesHoldBackWhatFollows) {
  Begin({.count = 9, .concurrency = 2});
  for (size_t i = 0; i < 4; ++i) {
    GrantAll();
    Finish(i);
  }
  EXPECT_THAT(asked_, ElementsAre(0, 1, 2, 3)) << "twice the concurrency";
  EXPECT_THAT(TakeAll(), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(asked_, ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(ProgramMapTest, InOrderALaterResultWaits) {
  Begin({.count = 2, .concurrency = 2});
  GrantAll();
  Finish(1);
  EXPECT_THAT(TakeAll(), IsEmpty());
  Finish(0);
  EXPECT_THAT(TakeAll(), ElementsAre(0, 1));
  EXPECT_TRUE(map_->AtEnd());
  EXPECT_EQ(map_->counts().succeeded, 2);
}

TEST_F(ProgramMapTest, ByCompletionItDoesNot) {
  Begin({.count = 2, .concurrency = 2, .in_order = false});
  GrantAll();
  Finish(1);
  EXPECT_THAT(TakeAll(), ElementsAre(1));
  Finish(0);
  EXPECT_THAT(TakeAll(), ElementsAre(0));
}

TEST_F(ProgramMapTest, InOrderAFailureLetsEarlierInputsEnd) {
  Begin({.count = 9, .concurrency = 3, .stop_on_failure = true});
  GrantAll();
  Finish(1, v1::Outcome::KIND_RAISED);
  EXPECT_THAT(sandboxes_[2]->stops(), ElementsAre(sandbox::StopReason::kCallerGone));
  EXPECT_THAT(sandboxes_[0]->stops(), IsEmpty());
  EXPECT_FALSE(map_->AtEnd());
  Finish(0);
  EXPECT_THAT(TakeAll(), ElementsAre(0, 1));
  EXPECT_TRUE(map_->AtEnd());
  EXPECT_THAT(asked_, ElementsAre(0, 1, 2));
  EXPECT_EQ(map_->counts().succeeded, 1);
  EXPECT_EQ(map_->counts().failed, 1);
  EXPECT_EQ(map_->counts().skipped, 7);
}

TEST_F(ProgramMapTest, InOrderAnEarlierFailureTakesTheLaterOnesPlace) {
  Begin({.count = 9, .concurrency = 3, .stop_on_failure = true});
  GrantAll();
  Finish(1, v1::Outcome::KIND_RAISED);
  Finish(0, v1::Outcome::KIND_RAISED);
  EXPECT_THAT(TakeAll(), ElementsAre(0));
  EXPECT_TRUE(map_->AtEnd());
  EXPECT_EQ(map_->counts().failed, 1);
  EXPECT_EQ(map_->counts().skipped, 8);
}

TEST_F(ProgramMapTest, ByCompletionAFailureStopsWhatRuns) {
  Begin({.count = 9, .concurrency = 3, .in_order = false, .stop_on_failure = true});
  GrantAll();
  Finish(1, v1::Outcome::KIND_RAISED);
  EXPECT_EQ(sandboxes_[0]->stops().size(), 1u);
  EXPECT_EQ(sandboxes_[2]->stops().size(), 1u);
  EXPECT_THAT(TakeAll(), ElementsAre(1));
  EXPECT_TRUE(map_->AtEnd());
}

TEST_F(ProgramMapTest, AnInputThatCouldNotRunHasItsStatus) {
  Begin({.count = 1, .concurrency = 1});
  source_.Refuse(MakeError(v1::ERROR_REASON_POOL_EXHAUSTED, "none"));
  loop_.Run();
  const auto result = map_->Take();
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(ReasonOf(result->result.status), v1::ERROR_REASON_POOL_EXHAUSTED);
  EXPECT_EQ(map_->counts().failed, 1);
}

TEST_F(ProgramMapTest, WaitsWhileTheServerHasNoRoom) {
  Begin({.count = 3, .concurrency = 1});
  GrantAll();
  source_.refusal = MakeError(v1::ERROR_REASON_OVERLOADED, "full");
  Finish(0);
  EXPECT_THAT(TakeAll(), ElementsAre(0));
  EXPECT_FALSE(map_->AtEnd());
  const int progress = progress_;
  loop_.Advance(absl::Seconds(50));
  EXPECT_FALSE(map_->AtEnd());
  EXPECT_LT(progress_, progress + 70) << "once a second at most";
  source_.refusal = absl::OkStatus();
  loop_.Advance(absl::Seconds(1));
  GrantAll();
  Finish(1);
  EXPECT_THAT(TakeAll(), ElementsAre(1));
  GrantAll();
  Finish(2);
  EXPECT_THAT(TakeAll(), ElementsAre(2));
  EXPECT_TRUE(map_->AtEnd());
  EXPECT_EQ(map_->counts().succeeded, 3);
  EXPECT_THAT(started_, ElementsAre(0, 1, 2)) << "each is told once";
}

TEST_F(ProgramMapTest, GoesOnAtOnceWhereSomethingOfItsOwnEnds) {
  Begin({.count = 4, .concurrency = 3});
  GrantAll();
  source_.refusal = MakeError(v1::ERROR_REASON_OVERLOADED, "full");
  Finish(0);
  EXPECT_THAT(TakeAll(), ElementsAre(0));
  // What runs may take as long as it likes.
  loop_.Advance(absl::Minutes(10));
  EXPECT_FALSE(map_->AtEnd());
  source_.refusal = absl::OkStatus();
  Finish(1);
  EXPECT_THAT(started_, ElementsAre(0, 1, 2, 3));
}

TEST_F(ProgramMapTest, GivesUpWhereThereIsNoRoomForAMinute) {
  Begin({.count = 9, .concurrency = 1});
  GrantAll();
  source_.refusal = MakeError(v1::ERROR_REASON_OVERLOADED, "full");
  Finish(0);
  EXPECT_THAT(TakeAll(), ElementsAre(0));
  const int progress = progress_;
  loop_.Advance(absl::Seconds(62));
  EXPECT_GT(progress_, progress) << "its reader is told";
  EXPECT_TRUE(map_->AtEnd());
  EXPECT_EQ(ReasonOf(map_->failure()), v1::ERROR_REASON_OVERLOADED);
  EXPECT_EQ(map_->counts().skipped, 8);
}

TEST_F(ProgramMapTest, MayBeDestroyedWhileItWaits) {
  Begin({.count = 9, .concurrency = 1});
  GrantAll();
  source_.refusal = MakeError(v1::ERROR_REASON_OVERLOADED, "full");
  Finish(0);
  map_.reset();
  loop_.Advance(absl::Minutes(2));
}

TEST_F(ProgramMapTest, AnotherRefusalEndsTheMapAfterWhatRuns) {
  Begin({.count = 9, .concurrency = 1});
  GrantAll();
  source_.refusal = MakeError(v1::ERROR_REASON_SERVER_DRAINING, "soon gone");
  Finish(0);
  EXPECT_THAT(TakeAll(), ElementsAre(0));
  EXPECT_TRUE(map_->AtEnd());
  EXPECT_EQ(ReasonOf(map_->failure()), v1::ERROR_REASON_SERVER_DRAINING);
  EXPECT_EQ(map_->counts().skipped, 8);
}

TEST_F(ProgramMapTest, DestroyingItKillsWhatRuns) {
  Begin({.count = 9, .concurrency = 2});
  GrantAll();
  map_.reset();
  EXPECT_EQ(sandboxes_[0]->stops().size(), 1u);
  EXPECT_EQ(sandboxes_[1]->stops().size(), 1u);
}

class CompiledMapTest : public ProgramMapTest {
 protected:
  void SetUp() override {
    ProgramMapTest::SetUp();
    compilation_ = Request(ExecutionMode::kCollect);
    compilation_->program.compile_only = true;
  }
  void FinishCompilation(v1::Outcome::Kind kind, std::string compiled) {
    sandbox::ExecutionEnd end;
    end.outcome.set_kind(kind);
    end.compiled = std::move(compiled);
    sandboxes_[0]->Finish(std::move(end));
    loop_.Run();
  }
};

TEST_F(CompiledMapTest, AllRunWhatOneHasCompiled) {
  Begin({.count = 3, .concurrency = 2});
  GrantAll();
  ASSERT_EQ(sandboxes_.size(), 1u);
  EXPECT_TRUE(sandboxes_[0]->guest_program().compile_only);
  EXPECT_THAT(asked_, IsEmpty()) << "before it is compiled";
  EXPECT_FALSE(map_->AtEnd());
  FinishCompilation(v1::Outcome::KIND_SUCCEEDED, "code");
  EXPECT_THAT(asked_, ElementsAre(0, 1));
  GrantAll();
  for (size_t i = 1; i <= 2; ++i) {
    const sandbox::GuestProgram& program = sandboxes_[i]->guest_program();
    ASSERT_NE(program.compiled, nullptr);
    EXPECT_EQ(*program.compiled, "code");
    EXPECT_FALSE(program.compile_only);
  }
  Finish(1);
  EXPECT_THAT(TakeAll(), ElementsAre(0));
  EXPECT_EQ(map_->counts().succeeded, 1) << "compiling is no input";
}

TEST_F(CompiledMapTest, WhatDoesNotCompileEachInputMeetsItself) {
  Begin({.count = 3, .concurrency = 2});
  GrantAll();
  FinishCompilation(v1::Outcome::KIND_RAISED, "");
  GrantAll();
  EXPECT_EQ(sandboxes_[1]->guest_program().compiled, nullptr);
  Finish(1, v1::Outcome::KIND_RAISED);
  EXPECT_THAT(TakeAll(), ElementsAre(0));
}

TEST_F(CompiledMapTest, WhereNoneCanBeHadAtAllTheMapSaysWhy) {
  source_.refusal = MakeError(v1::ERROR_REASON_OVERLOADED, "full");
  Begin({.count = 3, .concurrency = 2});
  EXPECT_TRUE(map_->AtEnd());
  EXPECT_EQ(ReasonOf(map_->failure()), v1::ERROR_REASON_OVERLOADED);
}

TEST_F(CompiledMapTest, DestroyingItEndsTheCompilation) {
  Begin({.count = 3, .concurrency = 2});
  GrantAll();
  map_.reset();
  EXPECT_EQ(sandboxes_[0]->stops().size(), 1u);
}

}  // namespace
}  // namespace cloister::core
