// The pump without gRPC: one write at a time, keep-alives, and an end whatever happens.

#include "service/rpc/event_pump.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/core/error.h"
#include "service/core/execution_manager.h"
#include "service/pool/pool_set.h"
#include "tests/support/fake_loop.h"
#include "tests/support/fake_sandbox.h"

namespace cloister::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr absl::Duration kKeepAlive = absl::Seconds(15);

// A peer that takes a write only when the test lets it.
class RecordingSink final : public EventSink {
 public:
  void Write(v1::ExecutionEvent event, bool last) override {
    EXPECT_FALSE(in_flight) << "two writes at once";
    EXPECT_TRUE(ends.empty()) << "a write after the end";
    in_flight = !last;
    if (last) ends.push_back(absl::OkStatus());
    if (event.has_stdout()) written.push_back(event.stdout());
    if (event.has_started()) written.push_back("started");
    if (event.has_finished()) written.push_back("finished");
    if (event.has_keep_alive()) written.push_back("keep-alive");
  }
  void Finish(const absl::Status& status) override {
    EXPECT_FALSE(in_flight) << "an end while a write is in flight";
    ends.push_back(status);
  }

  std::vector<std::string> written;
  std::vector<absl::Status> ends;
  bool in_flight = false;
};

class EventPumpTest : public ::testing::Test {
 protected:
  EventPumpTest() {
    pools_.Start();
    loop_.Run();
    core::ExecutionRequest request;
    request.template_name = "python";
    request.mode = core::ExecutionMode::kStream;
    execution_ = *manager_.Start(std::move(request));
    auto subscription = execution_->Subscribe(&pump_, core::ReaderRole::kOwner);
    EXPECT_TRUE(subscription.ok());
    pump_.Start(*std::move(subscription));
    loop_.Run();
    EXPECT_EQ(factory_.running().size(), 1u);
    guest_ = factory_.running()[0];
  }

  // The peer takes what is in flight.
  void Take(bool ok = true) {
    ASSERT_TRUE(sink_.in_flight);
    sink_.in_flight = false;
    pump_.OnWritten(ok);
  }

  static pool::PoolSetOptions OnePool() {
    pool::PoolSetOptions options;
    options.pools.emplace_back().template_name = "python";
    return options;
  }

  testing::FakeLoop loop_;
  core::ServiceObserver observer_;
  testing::FakeSandboxFactory factory_{&loop_};
  pool::PoolSet pools_{&loop_, &factory_, &observer_, OnePool()};
  core::ExecutionManager manager_{&loop_, &pools_, &observer_, {}};
  RecordingSink sink_;
  EventPump pump_{&loop_, &sink_, kKeepAlive};
  std::shared_ptr<core::Execution> execution_;
  testing::FakeSandbox* guest_ = nullptr;
};

TEST_F(EventPumpTest, WritesOneEventAtATime) {
  EXPECT_THAT(sink_.written, ElementsAre("started"));
  guest_->Write("a");
  guest_->Write("b");
  EXPECT_THAT(sink_.written, ElementsAre("started"));
  Take();
  Take();
  EXPECT_THAT(sink_.written, ElementsAre("started", "a", "b"));
  Take();
  EXPECT_FALSE(sink_.in_flight);
  guest_->Finish();
  EXPECT_THAT(sink_.written, ElementsAre("started", "a", "b", "finished"));
  EXPECT_THAT(sink_.ends, ElementsAre(absl::OkStatus()));
}

TEST_F(EventPumpTest, SendsKeepAlivesWhenNothingWasWrittenForTheInterval) {
  Take();
  loop_.Advance(kKeepAlive - absl::Seconds(1));
  guest_->Write("a");
  Take();
  loop_.Advance(absl::Seconds(2));
  EXPECT_THAT(sink_.written, ElementsAre("started", "a"));
  loop_.Advance(kKeepAlive - absl::Seconds(2));
  EXPECT_THAT(sink_.written, ElementsAre("started", "a", "keep-alive"));
  Take();
  loop_.Advance(kKeepAlive);
  EXPECT_EQ(sink_.written.size(), 4u);
}

TEST_F(EventPumpTest, SendsNoKeepAliveToAReaderThatDoesNotRead) {
  loop_.Advance(10 * kKeepAlive);
  EXPECT_THAT(sink_.written, ElementsAre("started"));
}

TEST_F(EventPumpTest, EndsOnlyAfterTheWriteInFlight) {
  pump_.Fail(absl::CancelledError("gone"));
  EXPECT_THAT(sink_.ends, IsEmpty());
  EXPECT_THAT(guest_->stops(), ElementsAre(sandbox::StopReason::kCallerGone));
  Take(/*ok=*/false);
  ASSERT_EQ(sink_.ends.size(), 1u);
  EXPECT_EQ(sink_.ends[0].code(), absl::StatusCode::kCancelled);
  pump_.Fail(absl::CancelledError("again"));
  loop_.Advance(absl::Hours(1));
  EXPECT_EQ(sink_.ends.size(), 1u);
}

TEST_F(EventPumpTest, EndsAtOnceWhereNothingIsInFlight) {
  Take();
  pump_.Fail(absl::CancelledError("gone"));
  EXPECT_EQ(sink_.ends.size(), 1u);
}

TEST_F(EventPumpTest, EndsOnABrokenConnection) {
  Take(/*ok=*/false);
  ASSERT_EQ(sink_.ends.size(), 1u);
  EXPECT_EQ(sink_.ends[0].code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(guest_->stops(), ElementsAre(sandbox::StopReason::kCallerGone));
}

TEST_F(EventPumpTest, IgnoresAFailureAfterTheEnd) {
  Take();
  guest_->Finish();
  pump_.Fail(absl::CancelledError("gone"));
  EXPECT_THAT(sink_.ends, ElementsAre(absl::OkStatus()));
}

TEST_F(EventPumpTest, HoldsTheGuestBackWhileThePeerIsSlow) {
  for (int i = 0; i < 100 && !guest_->output_paused(); ++i) {
    guest_->Write(std::string(64 << 10, 'x'));
  }
  EXPECT_TRUE(guest_->output_paused());
  for (int i = 0; i < 100 && sink_.in_flight; ++i) Take();
  EXPECT_FALSE(guest_->output_paused());
}

}  // namespace
}  // namespace cloister::rpc
