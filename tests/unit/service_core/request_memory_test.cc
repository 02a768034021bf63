// The bytes of requests that have not started.

#include "service/core/request_memory.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "service/core/error.h"
#include "tests/unit/service_core/core_fixture.h"

namespace cloister::core {
namespace {

class ByteCounter final : public CallObserver {
 public:
  void OnRequestBytes(int64_t change) override { bytes += change; }
  int64_t bytes = 0;
};

class RequestMemoryTest : public CoreTest {
 protected:
  ExecutionRequest RequestOf(int64_t bytes, std::string request_id = "") {
    ExecutionRequest request = Request(ExecutionMode::kStream, std::move(request_id));
    request.memory = memory_.Take(bytes).value();
    return request;
  }

  ByteCounter counter_;
  RequestMemory memory_{100, &counter_};
};

TEST_F(RequestMemoryTest, RefusesWhatIsTooMuchAndSaysWhenToComeBack) {
  RequestMemory::Share first = memory_.Take(60).value();
  const RequestMemory::Share second = memory_.Take(40).value();
  const absl::Status refused = memory_.Take(1).status();
  EXPECT_EQ(ReasonOf(refused), v1::ERROR_REASON_OVERLOADED);
  EXPECT_TRUE(RetryDelayOf(refused).has_value());
  EXPECT_EQ(counter_.bytes, 100);
  first = {};
  EXPECT_EQ(memory_.held_bytes(), 40);
  EXPECT_EQ(counter_.bytes, 40);
  EXPECT_TRUE(memory_.Take(60).ok());
}

TEST_F(RequestMemoryTest, AdmitsTheLargestWhereNothingIsHeld) {
  const auto large = memory_.Take(1000);
  EXPECT_TRUE(large.ok());
  EXPECT_FALSE(memory_.Take(0).ok());
}

TEST_F(RequestMemoryTest, AShareIsGivenBackOnce) {
  RequestMemory::Share share = memory_.Take(60).value();
  RequestMemory::Share moved = std::move(share);
  EXPECT_EQ(memory_.held_bytes(), 60);
  moved.Release();
  moved.Release();
  EXPECT_EQ(memory_.held_bytes(), 0);
}

TEST_F(RequestMemoryTest, WhoWaitsGetsItsShareWhenThereIsRoom) {
  RequestMemory::Share first = memory_.Take(60).value();
  RequestMemory::Share second = memory_.Take(40).value();
  std::vector<int> granted;
  std::vector<RequestMemory::Share> shares;
  const auto await = [&](int number, int64_t bytes) {
    return memory_.Await(bytes, [&, number](RequestMemory::Share share) {
      granted.push_back(number);
      shares.push_back(std::move(share));
    });
  };
  const auto large = await(1, 70);
  ASSERT_TRUE(large.ok());
  EXPECT_TRUE(await(2, 20).ok());
  EXPECT_EQ(ReasonOf(await(3, 20).status()), v1::ERROR_REASON_OVERLOADED) << "110 would wait";
  second.Release();
  EXPECT_TRUE(granted.empty()) << "the first has no room, and others wait behind it";
  memory_.CancelAwait(*large);
  EXPECT_EQ(granted, std::vector<int>{2});
  EXPECT_EQ(memory_.held_bytes(), 80);
  EXPECT_TRUE(await(4, 90).ok());
  first.Release();
  EXPECT_EQ(granted, std::vector<int>{2});
  std::exchange(shares, {}).clear();
  EXPECT_EQ(granted, (std::vector<int>{2, 4}));
  EXPECT_EQ(memory_.held_bytes(), 90);
  EXPECT_TRUE(await(5, 10).ok());
  EXPECT_EQ(granted.back(), 5) << "where there is room, at once";
}

TEST_F(RequestMemoryTest, AnExecutionGivesItsShareBackWhenItStarts) {
  auto execution = Start(RequestOf(60));
  auto owner = Own(*execution);
  EXPECT_EQ(memory_.held_bytes(), 60);
  source_.Grant();
  EXPECT_EQ(memory_.held_bytes(), 0);
}

TEST_F(RequestMemoryTest, AnExecutionThatEndsBeforeItStartsHoldsNothing) {
  auto refused = Start(RequestOf(60));
  source_.Refuse(MakeError(v1::ERROR_REASON_POOL_EXHAUSTED, "none"));
  EXPECT_EQ(memory_.held_bytes(), 0);
  auto interrupted = Start(RequestOf(60, "retained"));
  EXPECT_TRUE(interrupted->Interrupt(absl::ZeroDuration(), [](const ExecutionResult&) {}).ok());
  EXPECT_EQ(memory_.held_bytes(), 0);
}

TEST_F(RequestMemoryTest, ARefusedAndARepeatedRequestHoldNothing) {
  source_.refusal = MakeError(v1::ERROR_REASON_OVERLOADED, "full");
  EXPECT_FALSE(manager_.Start(RequestOf(60)).ok());
  EXPECT_EQ(memory_.held_bytes(), 0);
  source_.refusal = absl::OkStatus();
  auto first = Start(RequestOf(60, "id"));
  auto repeated = Start(RequestOf(10, "id"));
  EXPECT_EQ(repeated, first);
  EXPECT_EQ(memory_.held_bytes(), 60);
}

}  // namespace
}  // namespace cloister::core
