// Execute, AttachExecution and InterruptExecution through a real gRPC server.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/service_rpc/test_server.h"

namespace cloister::testing {
namespace {

using ::testing::SizeIs;

// Everything up to the end of the stream.
template <typename Reader, typename Response>
std::vector<v1::ExecutionEvent> ReadAll(Reader* reader, Response response) {
  std::vector<v1::ExecutionEvent> events;
  while (reader->Read(&response)) events.push_back(response.event());
  return events;
}

std::string Joined(const std::vector<v1::ExecutionEvent>& events) {
  std::string text;
  for (const v1::ExecutionEvent& event : events) text += event.stdout();
  return text;
}

v1::ExecuteRequest DetachedRequest() {
  v1::ExecuteRequest request;
  request.set_on_disconnect(v1::ExecuteRequest::ON_DISCONNECT_DETACH);
  return request;
}

TEST(ExecuteTest, StreamsNumberedEventsAndOneEnd) {
  TestServer server([](FakeSandbox& sandbox) {
    sandbox.Write("a");
    sandbox.Write("b", sandbox::OutputStream::kStderr);
    sandbox.Finish();
  });
  grpc::ClientContext context;
  auto reader = server.executions().Execute(&context, {});
  const auto events = ReadAll(reader.get(), v1::ExecuteResponse());
  EXPECT_TRUE(reader->Finish().ok());
  ASSERT_THAT(events, SizeIs(4));
  EXPECT_TRUE(events[0].has_started());
  EXPECT_EQ(events[1].stdout(), "a");
  EXPECT_EQ(events[2].stderr(), "b");
  EXPECT_TRUE(events[3].has_finished());
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].sequence(), static_cast<int64_t>(i + 1));
    EXPECT_GT(events[i].time().seconds(), 1'600'000'000);
  }
}

TEST(ExecuteTest, ReportsWhyNothingRan) {
  TestServer server([](FakeSandbox& sandbox) { sandbox.Finish(); });
  grpc::ClientContext context;
  v1::ExecuteRequest request;
  request.mutable_program()->set_file_name("a\nb");
  auto reader = server.executions().Execute(&context, request);
  EXPECT_THAT(ReadAll(reader.get(), v1::ExecuteResponse()), SizeIs(0));
  EXPECT_EQ(ReasonIn(reader->Finish()), "FIELD_INVALID");
}

TEST(ExecuteTest, KeepsAQuietStreamAlive) {
  FakeSandbox* guest = nullptr;
  TestServer server([&guest](FakeSandbox& sandbox) { guest = &sandbox; },
                    {.keep_alive_interval = absl::Milliseconds(10)});
  grpc::ClientContext context;
  auto reader = server.executions().Execute(&context, {});
  v1::ExecuteResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_TRUE(response.event().has_started());
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(reader->Read(&response));
    EXPECT_TRUE(response.event().has_keep_alive());
    EXPECT_EQ(response.event().sequence(), 0);
  }
  server.OnLoop([&] { guest->Finish(); });
  const auto events = ReadAll(reader.get(), v1::ExecuteResponse());
  ASSERT_FALSE(events.empty());
  EXPECT_TRUE(events.back().has_finished());
  EXPECT_EQ(events.back().sequence(), 2);
  EXPECT_TRUE(reader->Finish().ok());
}

// A guest that writes whenever it may, to a reader that does not read.
class SlowReaderTest : public ::testing::Test {
 protected:
  static constexpr int64_t kTotal = int64_t{64} << 20;
  const std::string piece_ = std::string(64 << 10, 'x');

  void WriteMore(FakeSandbox* guest, TestServer* server) {
    // As the kernel would: a paused guest's write waits.
    for (int i = 0; i < 4 && !guest->output_paused() && written_ < kTotal; ++i) {
      guest->Write(piece_);
      written_ += static_cast<int64_t>(piece_.size());
    }
    if (written_ >= kTotal) return guest->Finish();
    server->loop().CallAfter(absl::Microseconds(100), [=, this] { WriteMore(guest, server); });
  }

  int64_t written_ = 0;  // of the loop
};

TEST_F(SlowReaderTest, StopsTheGuestAndNotTheServersMemory) {
  TestServer* server_address = nullptr;
  TestServer server([&](FakeSandbox& sandbox) {
    server_address->loop().Post([&] { WriteMore(&sandbox, server_address); });
  });
  server_address = &server;
  grpc::ClientContext context;
  auto reader = server.executions().Execute(&context, {});
  ASSERT_TRUE(server.observer().WaitForStall());
  // The transport's own buffers may take some more, and then no more.
  const int64_t at_stall = server.OnLoop([&] { return written_; });
  EXPECT_LT(at_stall, kTotal / 2);

  const auto events = ReadAll(reader.get(), v1::ExecuteResponse());
  EXPECT_TRUE(reader->Finish().ok());
  ASSERT_FALSE(events.empty());
  EXPECT_TRUE(events.back().has_finished());
  int64_t received = 0;
  for (const auto& event : events) received += static_cast<int64_t>(event.stdout().size());
  EXPECT_EQ(received, kTotal);
  // The log keeps 1 MiB of what was read; unread is at most the watermark and a few pieces.
  EXPECT_LT(server.observer().most_buffered_bytes(), int64_t{3} << 20);
}

TEST(ExecuteTest, DisconnectInterruptsByDefault) {
  TestServer server([](FakeSandbox&) {});
  grpc::ClientContext context;
  auto reader = server.executions().Execute(&context, {});
  v1::ExecuteResponse response;
  ASSERT_TRUE(reader->Read(&response));
  context.TryCancel();
  EXPECT_EQ(server.observer().WaitForEnd().kind, v1::Outcome::KIND_INTERRUPTED);
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST(AttachTest, FollowsADetachedExecutionFromAnySequence) {
  FakeSandbox* guest = nullptr;
  TestServer server([&guest](FakeSandbox& sandbox) {
    guest = &sandbox;
    sandbox.Write("one ");
  });
  std::string execution;
  {
    grpc::ClientContext context;
    auto reader = server.executions().Execute(&context, DetachedRequest());
    v1::ExecuteResponse response;
    ASSERT_TRUE(reader->Read(&response));
    execution = response.event().started().execution();
    context.TryCancel();
    (void)reader->Finish();
  }
  ASSERT_TRUE(server.calls().WaitUntilQuiet());

  v1::AttachExecutionRequest request;
  request.set_execution(execution);
  grpc::ClientContext all_context, later_context;
  auto all = server.executions().AttachExecution(&all_context, request);
  request.set_after_sequence(2);
  auto later = server.executions().AttachExecution(&later_context, request);
  server.OnLoop([&] {
    guest->Write("two");
    guest->Finish();
  });
  const auto all_events = ReadAll(all.get(), v1::AttachExecutionResponse());
  const auto later_events = ReadAll(later.get(), v1::AttachExecutionResponse());
  EXPECT_TRUE(all->Finish().ok());
  EXPECT_TRUE(later->Finish().ok());
  EXPECT_EQ(Joined(all_events), "one two");
  EXPECT_EQ(Joined(later_events), "two");
  ASSERT_THAT(later_events, SizeIs(2));
  EXPECT_EQ(later_events[0].sequence(), 3);

  // And again after the end.
  request.set_after_sequence(3);
  grpc::ClientContext ended_context;
  auto ended = server.executions().AttachExecution(&ended_context, request);
  const auto last = ReadAll(ended.get(), v1::AttachExecutionResponse());
  ASSERT_THAT(last, SizeIs(1));
  EXPECT_TRUE(last[0].has_finished());
  EXPECT_TRUE(ended->Finish().ok());
}

TEST(AttachTest, DoesNotEndTheExecutionWhenItGoes) {
  FakeSandbox* guest = nullptr;
  TestServer server([&guest](FakeSandbox& sandbox) { guest = &sandbox; });
  grpc::ClientContext owner_context;
  auto owner = server.executions().Execute(&owner_context, {});
  v1::ExecuteResponse started;
  ASSERT_TRUE(owner->Read(&started));
  {
    v1::AttachExecutionRequest request;
    request.set_execution(started.event().started().execution());
    grpc::ClientContext context;
    auto follower = server.executions().AttachExecution(&context, request);
    v1::AttachExecutionResponse response;
    ASSERT_TRUE(follower->Read(&response));
    context.TryCancel();
    (void)follower->Finish();
  }
  server.OnLoop([&] { guest->Finish(); });
  const auto events = ReadAll(owner.get(), v1::ExecuteResponse());
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().finished().outcome().kind(), v1::Outcome::KIND_SUCCEEDED);
  EXPECT_TRUE(owner->Finish().ok());
}

TEST(AttachTest, SaysWhatItCannotFind) {
  TestServer server([](FakeSandbox&) {});
  v1::AttachExecutionRequest request;
  request.set_execution("executions/none");
  grpc::ClientContext context;
  auto reader = server.executions().AttachExecution(&context, request);
  EXPECT_THAT(ReadAll(reader.get(), v1::AttachExecutionResponse()), SizeIs(0));
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ReasonIn(status), "EXECUTION_NOT_FOUND");
}

TEST(InterruptTest, AsksTheGuestAndReturnsTheEnd) {
  FakeSandbox* guest = nullptr;
  TestServer server([&guest](FakeSandbox& sandbox) { guest = &sandbox; });
  grpc::ClientContext context;
  auto reader = server.executions().Execute(&context, {});
  v1::ExecuteResponse started;
  ASSERT_TRUE(reader->Read(&started));

  grpc::Status status;
  v1::InterruptExecutionResponse response;
  std::thread interrupter([&] {
    v1::InterruptExecutionRequest request;
    request.set_execution(started.event().started().execution());
    request.mutable_grace()->set_seconds(5);
    grpc::ClientContext interrupt_context;
    status = server.executions().InterruptExecution(&interrupt_context, request, &response);
  });
  EXPECT_TRUE(server.WaitOnLoop([&] { return !guest->interrupts().empty(); }));
  server.OnLoop([&] {
    EXPECT_EQ(guest->interrupts().front(), absl::Seconds(5));
    guest->Finish(v1::Outcome::KIND_INTERRUPTED);
  });
  interrupter.join();
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(response.outcome().kind(), v1::Outcome::KIND_INTERRUPTED);
  const auto events = ReadAll(reader.get(), v1::ExecuteResponse());
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(events.back().finished().outcome().kind(), v1::Outcome::KIND_INTERRUPTED);
}

TEST(InterruptTest, KnowsOnlyWhatThereIs) {
  TestServer server([](FakeSandbox&) {});
  v1::InterruptExecutionRequest request;
  request.set_execution("executions/none");
  v1::InterruptExecutionResponse response;
  grpc::ClientContext context;
  EXPECT_EQ(ReasonIn(server.executions().InterruptExecution(&context, request, &response)),
            "EXECUTION_NOT_FOUND");
}

// Streams cancelled at every moment, with writes in flight.
TEST(ExecuteTest, SurvivesCancellationAtAnyMoment) {
  TestServer server([](FakeSandbox& sandbox) {
    for (int i = 0; i < 20; ++i) sandbox.Write(std::string(1000, 'x'));
    sandbox.Finish();
  });
  for (int i = 0; i < 200; ++i) {
    grpc::ClientContext context;
    auto reader = server.executions().Execute(&context, {});
    v1::ExecuteResponse response;
    for (int read = 0; read < i % 25 && reader->Read(&response); ++read) {
    }
    context.TryCancel();
    (void)reader->Finish();
  }
  EXPECT_TRUE(server.WaitOnLoop([&] { return server.manager().active_count() == 0; }));
  EXPECT_TRUE(server.calls().WaitUntilQuiet());
}

}  // namespace
}  // namespace cloister::testing
