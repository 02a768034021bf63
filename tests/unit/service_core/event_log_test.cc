#include "service/core/event_log.h"

#include <gtest/gtest.h>

#include <string>

#include "service/core/error.h"

namespace cloister::core {
namespace {

constexpr int64_t kNoBound = int64_t{1} << 40;

v1::ExecutionEvent Output(size_t bytes) {
  v1::ExecutionEvent event;
  event.set_stdout(std::string(bytes, 'x'));
  return event;
}

constexpr int64_t CostOf(int64_t bytes) { return bytes + EventLog::kEventOverhead; }

TEST(EventLogTest, NumbersEventsFromOneWithoutGaps) {
  EventLog log(kNoBound);
  EXPECT_EQ(log.last_sequence(), 0);
  for (int i = 0; i < 3; ++i) log.Append(Output(1));
  const auto events = log.Read(0, kNoBound);
  ASSERT_TRUE(events.ok());
  ASSERT_EQ(events->size(), 3u);
  for (int i = 0; i < 3; ++i) EXPECT_EQ((*events)[i].sequence(), i + 1);
}

TEST(EventLogTest, ReadsFromAfterANumber) {
  EventLog log(kNoBound);
  for (int i = 0; i < 3; ++i) log.Append(Output(1));
  EXPECT_EQ(log.Read(2, kNoBound)->front().sequence(), 3);
  EXPECT_TRUE(log.Read(3, kNoBound)->empty());
}

TEST(EventLogTest, ReadsAsMuchAsAskedForButOneEventAtLeast) {
  EventLog log(kNoBound);
  for (int i = 0; i < 3; ++i) log.Append(Output(1000));
  EXPECT_EQ(log.Read(0, 1)->size(), 1u);
  EXPECT_EQ(log.Read(0, 2 * CostOf(1000))->size(), 2u);
  EXPECT_EQ(log.Read(0, 2 * CostOf(1000) - 1)->size(), 1u);
}

TEST(EventLogTest, NeverDropsWhatWasNotDelivered) {
  EventLog log(CostOf(100));
  for (int i = 0; i < 50; ++i) log.Append(Output(100));
  EXPECT_EQ(log.first_sequence(), 1);
  EXPECT_EQ(log.Read(0, kNoBound)->size(), 50u);
}

TEST(EventLogTest, DropsTheOldestDeliveredPastItsBound) {
  EventLog log(2 * CostOf(100));
  for (int i = 0; i < 5; ++i) log.Append(Output(100));
  log.MarkDelivered(2);
  EXPECT_EQ(log.first_sequence(), 3) << "3 is not delivered and stays";
  log.MarkDelivered(5);
  EXPECT_EQ(log.first_sequence(), 4) << "two fit into the bound";
  EXPECT_EQ(log.cost(), 2 * CostOf(100));
  log.MarkDelivered(1);
  EXPECT_EQ(log.first_sequence(), 4);
}

TEST(EventLogTest, SaysWhatIsExpiredAndWhereToGoOn) {
  EventLog log(CostOf(100));
  for (int i = 0; i < 3; ++i) log.Append(Output(100));
  log.MarkDelivered(3);
  const absl::Status error = log.Read(0, kNoBound).status();
  EXPECT_EQ(ReasonOf(error), v1::ERROR_REASON_EVENTS_EXPIRED);
  EXPECT_EQ(MetadataOf(error, "firstSequence"), "3");
  EXPECT_TRUE(log.Read(2, kNoBound).ok());
}

TEST(EventLogTest, RefusesNumbersThatWereNeverGiven) {
  EventLog log(kNoBound);
  log.Append(Output(1));
  EXPECT_EQ(ReasonOf(log.CheckReadable(2)), v1::ERROR_REASON_EVENTS_EXPIRED);
  EXPECT_EQ(ReasonOf(log.CheckReadable(-1)), v1::ERROR_REASON_EVENTS_EXPIRED);
}

TEST(EventLogTest, TellsTheCostOfWhatFollows) {
  EventLog log(kNoBound);
  for (int i = 1; i <= 3; ++i) log.Append(Output(i));
  EXPECT_EQ(log.CostAfter(0), CostOf(1) + CostOf(2) + CostOf(3));
  EXPECT_EQ(log.CostAfter(2), CostOf(3));
  EXPECT_EQ(log.CostAfter(3), 0);
}

TEST(EventLogTest, FilesInTheLastEventCount) {
  EventLog log(kNoBound);
  v1::ExecutionEvent event;
  event.mutable_finished()->add_files()->set_content(std::string(5000, 'x'));
  log.Append(event);
  EXPECT_GE(log.cost(), 5000);
}

}  // namespace
}  // namespace cloister::core
