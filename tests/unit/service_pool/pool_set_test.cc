// Several pools together: shared memory, drain, and the loss of the spawner.

#include "service/pool/pool_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/service_pool/pool_fixture.h"

namespace cloister::pool {
namespace {

constexpr int64_t kMegabyte = int64_t{1} << 20;

class PoolSetTest : public PoolTest {
 protected:
  // Two pools that want 4 and 8 ready ones of 1 MiB each.
  std::vector<PoolOptions> TwoPools() {
    PoolOptions second = options_;
    options_.idle_sandbox_bytes = second.idle_sandbox_bytes = kMegabyte;
    second.template_name = "data";
    second.minimum_ready = 8;
    return {options_, second};
  }
};

TEST_F(PoolSetTest, EachTemplateHasItsOwnPoolInOrder) {
  StartPools(TwoPools(), 100 * kMegabyte);
  EXPECT_EQ(factory_.zygotes().size(), 2u);
  EXPECT_EQ(pools_->Snapshot()[0].first, "python");
  EXPECT_EQ(pools_->Snapshot()[1].first, "data");
  EXPECT_EQ(State(0).ready, 4);
  EXPECT_EQ(State(1).ready, 8);
  EXPECT_TRUE(Ask(absl::InfiniteDuration(), "data")->granted());
  EXPECT_TRUE(Ask(absl::InfiniteDuration(), "python")->granted());
}

TEST_F(PoolSetTest, TicketsOfOnePoolMeanNothingToAnother) {
  factory_.answer_sandboxes = false;
  StartPools(TwoPools(), 100 * kMegabyte);
  auto python = Ask(absl::InfiniteDuration(), "python");
  auto data = Ask(absl::InfiniteDuration(), "data");
  EXPECT_NE(python->ticket, data->ticket);
  pools_->AbandonRequest(data->ticket);
  EXPECT_EQ(State(0).waiting, 1);
  EXPECT_EQ(State(1).waiting, 0);
}

TEST_F(PoolSetTest, IdleMemoryIsSharedEvenly) {
  StartPools(TwoPools(), 6 * kMegabyte);
  EXPECT_EQ(State(0).ready, 2);
  EXPECT_EQ(State(1).ready, 4);
}

TEST_F(PoolSetTest, MeasuredMemoryShrinksTheStock) {
  StartPools(TwoPools(), 12 * kMegabyte);
  EXPECT_EQ(State(0).ready + State(1).ready, 12);
  // Unused ones that are discarded turn out to hold three times what was thought.
  factory_.peak_memory_bytes = 3 * kMegabyte;
  for (int i = 0; i < 100; ++i) {
    factory_.LoseIdleSandbox(factory_.live().begin()->first);
    loop_.Advance(absl::Seconds(2));
  }
  EXPECT_LE(State(0).ready * State(0).idle_sandbox_bytes +
                State(1).ready * State(1).idle_sandbox_bytes,
            12 * kMegabyte);
  EXPECT_LT(State(0).ready + State(1).ready, 12);
}

TEST_F(PoolSetTest, RunningProgramsDoNotCountAsIdleMemory) {
  StartPool();
  const int64_t before = State().idle_sandbox_bytes;
  factory_.peak_memory_bytes = 500 * kMegabyte;
  Ask()->Drop();
  loop_.Run();
  EXPECT_EQ(State().idle_sandbox_bytes, before);
}

TEST_F(PoolSetTest, DemandBeyondTheStockIsServedEvenWithoutBudget) {
  StartPools(TwoPools(), 0);
  EXPECT_EQ(State(0).ready, 0);
  auto answer = Ask();
  ASSERT_TRUE(answer->granted());
  EXPECT_EQ(answer->start_kind(), v1::START_KIND_COLD);
}

TEST_F(PoolSetTest, HealthIsThatOfTheWorstPool) {
  StartPools(TwoPools(), 100 * kMegabyte);
  EXPECT_TRUE(pools_->Health().ok());
  factory_.KillZygote(factory_.zygotes()[1], "signal 9");
  EXPECT_NE(std::string(pools_->Health().message()).find("data"), std::string::npos);
}

TEST_F(PoolSetTest, DrainEmptiesThePoolsThenSaysSo) {
  StartPools(TwoPools(), 100 * kMegabyte);
  auto held = Ask();
  bool drained = false;
  pools_->Drain([&] { drained = true; });
  loop_.Advance(absl::Seconds(5));
  EXPECT_EQ(State(0).ready, 0);
  EXPECT_EQ(factory_.live().size(), 1u) << "only the leased one";
  EXPECT_EQ(factory_.stopped_zygotes().size(), 2u);
  EXPECT_FALSE(drained);
  EXPECT_EQ(AskWithoutRunning()->reason(), v1::ERROR_REASON_SERVER_DRAINING);
  held->Drop();
  loop_.Run();
  EXPECT_TRUE(drained);
  loop_.Advance(absl::Seconds(1));
  EXPECT_EQ(loop_.timer_count(), 0u);
}

TEST_F(PoolSetTest, DrainWaitsForForksThatAreUnderWay) {
  factory_.answer_sandboxes = false;
  StartPool();
  auto waiting = Ask();
  bool drained = false;
  pools_->Drain([&] { drained = true; });
  loop_.Run();
  EXPECT_EQ(waiting->reason(), v1::ERROR_REASON_SERVER_DRAINING);
  EXPECT_FALSE(drained);
  factory_.AnswerSandbox();  // comes too late and is discarded
  factory_.sandbox_error = absl::UnavailableError("stopping");
  while (factory_.pending_sandboxes() > 0) factory_.AnswerSandbox();
  loop_.Advance(absl::Seconds(1));
  EXPECT_TRUE(drained);
  EXPECT_TRUE(factory_.live().empty());
}

TEST_F(PoolSetTest, DrainIsDoneWhenTheLastForkFails) {
  factory_.answer_sandboxes = false;
  StartPool();
  bool drained = false;
  pools_->Drain([&] { drained = true; });
  factory_.sandbox_error = absl::UnavailableError("stopping");
  while (factory_.pending_sandboxes() > 0) factory_.AnswerSandbox();
  loop_.Advance(absl::Seconds(1));
  EXPECT_TRUE(drained);
}

TEST_F(PoolSetTest, LostSpawnerFailsEveryRequest) {
  factory_.answer_sandboxes = false;
  StartPool();
  auto waiting = Ask();
  factory_.LoseSpawner("killed");
  loop_.Run();
  EXPECT_EQ(waiting->reason(), v1::ERROR_REASON_SANDBOX_SETUP_FAILED);
  EXPECT_EQ(AskWithoutRunning()->reason(), v1::ERROR_REASON_SANDBOX_SETUP_FAILED);
  EXPECT_TRUE(observer_.spawner_lost);
  EXPECT_FALSE(pools_->Health().ok());
}

TEST_F(PoolSetTest, AnswersAfterItsEndAreIgnored) {
  factory_.answer_sandboxes = false;
  StartPool();
  pools_.reset();
  while (factory_.pending_sandboxes() > 0) factory_.AnswerSandbox();
  loop_.Advance(absl::Seconds(1));
  EXPECT_TRUE(factory_.live().empty());
}

}  // namespace
}  // namespace cloister::pool
