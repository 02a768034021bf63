#include "clients/cli/bench/interrupt_tally.h"

#include "gtest/gtest.h"

namespace cloister::cli::bench {
namespace {

v1::Outcome Interrupted(bool preserved) {
  v1::Outcome outcome;
  outcome.set_kind(v1::Outcome::KIND_INTERRUPTED);
  outcome.set_state_preserved(preserved);
  if (preserved) outcome.mutable_exception()->set_type("KeyboardInterrupt");
  return outcome;
}

TEST(InterruptTallyTest, TellsTheRungThatEndedIt) {
  EXPECT_EQ(RungOf(Interrupted(true)), "KeyboardInterrupt");
  EXPECT_EQ(RungOf(Interrupted(false)), "kill");
  v1::Outcome other;
  other.set_kind(v1::Outcome::KIND_WALL_TIMEOUT);
  EXPECT_EQ(RungOf(other), "WALL_TIMEOUT");
}

TEST(InterruptTallyTest, TimesAreInMilliseconds) {
  InterruptTally tally;
  for (const int microseconds : {700, 126'004, 1'250}) {
    tally.Add(Interrupted(true), absl::Microseconds(microseconds));
  }
  Json results;
  tally.Fill("main_sleep", &results);
  EXPECT_EQ(results, Json({{"main_sleep_rung", "KeyboardInterrupt"},
                           {"main_sleep_state_preserved", true},
                           {"main_sleep_p50_ms", 1.25},
                           {"main_sleep_max_ms", 126.0}}));
}

TEST(InterruptTallyTest, CountsWhatDidNotEndAlike) {
  InterruptTally tally;
  for (const bool preserved : {true, false, true}) {
    tally.Add(Interrupted(preserved), absl::Milliseconds(1));
  }
  Json results;
  tally.Fill("x", &results);
  EXPECT_EQ(results["x_rung"], "KeyboardInterrupt 2, kill 1");
  EXPECT_EQ(results["x_state_preserved"], "no 1, yes 2");
}

}  // namespace
}  // namespace cloister::cli::bench
