#include "sandbox/host/outcome_classifier.h"

#include <signal.h>
#include <sys/wait.h>

#include <ostream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cloister::sandbox {
namespace {

using internal::v1::Finished;
using ::testing::HasSubstr;
using v1::Outcome;

Finished FinishedWith(Finished::Kind kind) {
  Finished finished;
  finished.set_kind(kind);
  if (kind == Finished::KIND_RAISED) finished.mutable_exception()->set_type("ValueError");
  if (kind == Finished::KIND_EXITED) finished.set_exit_code(3);
  return finished;
}

Finished RaisedKeyboardInterrupt() {
  Finished finished = FinishedWith(Finished::KIND_RAISED);
  finished.mutable_exception()->set_type("KeyboardInterrupt");
  return finished;
}

Observation Stopped(HostStop stop) {
  Observation seen;
  seen.stop = stop;
  return seen;
}

Observation Exited(int code, int status) {
  Observation seen;
  seen.exit = ProcessEnd{code, status};
  return seen;
}

Observation Said(Finished finished) {
  Observation seen;
  seen.finished = std::move(finished);
  return seen;
}

// A change to an observation, so that the table reads as sentences.
Observation With(Observation seen, void (*change)(Observation&)) {
  change(seen);
  return seen;
}
void OutOfMemory(Observation& seen) { seen.oom_kills = 1; }
void Overflow(Observation& seen) { seen.output_overflowed = true; }
void Interrupted(Observation& seen) { seen.asked = HostStop::kInterruptGrace; }
void AllCpuUsed(Observation& seen) { seen.cpu_time = seen.limits.cpu_time; }
void KilledByUs(Observation& seen) { seen.exit = ProcessEnd{CLD_KILLED, SIGKILL}; }
void SigSys(Observation& seen) { seen.exit = ProcessEnd{CLD_DUMPED, SIGSYS}; }

struct Case {
  const char* name;
  Observation seen;
  Outcome::Kind kind;
  const char* detail;
};
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

class OutcomeTest : public ::testing::TestWithParam<Case> {};

TEST_P(OutcomeTest, IsWhatWasSeenFirst) {
  const Outcome outcome = ClassifyOutcome(GetParam().seen);
  EXPECT_EQ(Outcome::Kind_Name(outcome.kind()), Outcome::Kind_Name(GetParam().kind));
  EXPECT_THAT(outcome.detail(), HasSubstr(GetParam().detail));
}

const Case kCases[] = {
    // What the guest says, where nothing contradicts it.
    {"Succeeded", Said(FinishedWith(Finished::KIND_SUCCEEDED)), Outcome::KIND_SUCCEEDED, "end"},
    {"Raised", Said(FinishedWith(Finished::KIND_RAISED)), Outcome::KIND_RAISED, "exception"},
    {"SystemExit", Said(FinishedWith(Finished::KIND_EXITED)), Outcome::KIND_EXITED, "SystemExit"},
    // The process's end without a word.
    {"OsExit", Exited(CLD_EXITED, 7), Outcome::KIND_EXITED, "status 7"},
    {"Segfault", Exited(CLD_DUMPED, SIGSEGV), Outcome::KIND_SIGNALED, "SIGSEGV"},
    {"Abort", Exited(CLD_KILLED, SIGABRT), Outcome::KIND_SIGNALED, "SIGABRT"},
    {"KillsItself", Exited(CLD_KILLED, SIGKILL), Outcome::KIND_SIGNALED, "SIGKILL"},
    {"SigInt", Exited(CLD_KILLED, SIGINT), Outcome::KIND_SIGNALED, "SIGINT"},
    {"SigSys", Exited(CLD_KILLED, SIGSYS), Outcome::KIND_POLICY_VIOLATION, "seccomp"},
    {"SigSysDumped", Exited(CLD_DUMPED, SIGSYS), Outcome::KIND_POLICY_VIOLATION, "seccomp"},
    {"SigXcpuOfItsOwn", Exited(CLD_KILLED, SIGXCPU), Outcome::KIND_SIGNALED, "SIGXCPU"},
    {"ExitStatusThatLooksLikeSigSys", Exited(CLD_EXITED, SIGSYS), Outcome::KIND_EXITED, "31"},
    {"ExitStatusThatLooksLikeSigXcpu", Exited(CLD_EXITED, SIGXCPU), Outcome::KIND_EXITED, "24"},
    // Memory: the kernel's kill needs both the signal and the count.
    {"OomKilled", With(Exited(CLD_KILLED, SIGKILL), OutOfMemory), Outcome::KIND_MEMORY_LIMIT,
     "limits.memory_bytes"},
    {"AChildWasOomKilled", With(Exited(CLD_EXITED, 1), OutOfMemory), Outcome::KIND_EXITED, "1"},
    {"AChildWasOomKilledAndItRaised", With(Said(FinishedWith(Finished::KIND_RAISED)), OutOfMemory),
     Outcome::KIND_RAISED, ""},
    {"SampledMemory", Stopped(HostStop::kMemory), Outcome::KIND_MEMORY_LIMIT, "sampled"},
    // The host's own limits.
    {"Wall", Stopped(HostStop::kWallTime), Outcome::KIND_WALL_TIMEOUT,
     "killed after 10s of wall time (limits.wall_time)"},
    {"Cpu", Stopped(HostStop::kCpuTime), Outcome::KIND_CPU_TIMEOUT,
     "killed after 10s of processor time (limits.cpu_time)"},
    {"CpuHardRlimit", With(Exited(CLD_KILLED, SIGKILL), AllCpuUsed), Outcome::KIND_CPU_TIMEOUT,
     "limits.cpu_time"},
    {"Output", With(Stopped(HostStop::kOutput), Overflow), Outcome::KIND_OUTPUT_LIMIT,
     "1048576 bytes (limits.output_bytes)"},
    {"OverflowSeenOnlyAtTheEnd", With(Said(FinishedWith(Finished::KIND_SUCCEEDED)), Overflow),
     Outcome::KIND_OUTPUT_LIMIT, "limits.output_bytes"},
    // Broken frames.
    {"BrokenProtocol", Stopped(HostStop::kBrokenProtocol), Outcome::KIND_POLICY_VIOLATION,
     "protocol"},
    // The ladder.
    {"InterruptAnswered", With(Said(RaisedKeyboardInterrupt()), Interrupted),
     Outcome::KIND_INTERRUPTED, "KeyboardInterrupt ended the program"},
    {"KeyboardInterruptOfItsOwn", Said(RaisedKeyboardInterrupt()), Outcome::KIND_RAISED, ""},
    {"InterruptHandled", With(Said(FinishedWith(Finished::KIND_SUCCEEDED)), Interrupted),
     Outcome::KIND_SUCCEEDED, ""},
    {"InterruptAnsweredByExit", With(Said(FinishedWith(Finished::KIND_EXITED)), Interrupted),
     Outcome::KIND_EXITED, ""},
    {"InterruptEndedTheProcess", With(Exited(CLD_KILLED, SIGINT), Interrupted),
     Outcome::KIND_INTERRUPTED, "SIGINT"},
    {"InterruptIgnored", Stopped(HostStop::kInterruptGrace), Outcome::KIND_INTERRUPTED,
     "not answered"},
    {"InterruptAtOnce", Stopped(HostStop::kInterruptAtOnce), Outcome::KIND_INTERRUPTED, "at once"},
    {"CallerGone", Stopped(HostStop::kCallerGone), Outcome::KIND_INTERRUPTED, "caller"},
    {"Shutdown", Stopped(HostStop::kShutdown), Outcome::KIND_INTERRUPTED, "stopping"},
    // Lost.
    {"NeverStarted", Stopped(HostStop::kNeverStarted), Outcome::KIND_INTERPRETER_LOST,
     "not started"},
    {"ChannelClosed", With(Stopped(HostStop::kChannelClosed), KilledByUs),
     Outcome::KIND_INTERPRETER_LOST, "closed its channel"},
    {"ChannelClosedThenExitedByItself",
     With(Stopped(HostStop::kChannelClosed),
          [](Observation& seen) {
            seen.exit = ProcessEnd{CLD_EXITED, 0};
          }),
     Outcome::KIND_EXITED, "status 0"},
    {"NothingMoreToLearn", Stopped(HostStop::kLost), Outcome::KIND_INTERPRETER_LOST, "not seen"},
    {"NothingAtAll", Observation(), Outcome::KIND_INTERPRETER_LOST, "not seen"},
    // Several at once: the order of outcome.proto.
    {"PolicyBeforeMemory", With(With(Stopped(HostStop::kMemory), SigSys), OutOfMemory),
     Outcome::KIND_POLICY_VIOLATION, ""},
    {"MemoryBeforeCpu", With(With(Stopped(HostStop::kCpuTime), KilledByUs), OutOfMemory),
     Outcome::KIND_MEMORY_LIMIT, ""},
    {"CpuBeforeWall",
     With(Stopped(HostStop::kWallTime),
          [](Observation& seen) {
            seen.exit = ProcessEnd{CLD_KILLED, SIGXCPU};
            AllCpuUsed(seen);
          }),
     Outcome::KIND_CPU_TIMEOUT, ""},
    {"WallBeforeOutput", With(Stopped(HostStop::kWallTime), Overflow), Outcome::KIND_WALL_TIMEOUT,
     ""},
    {"OutputBeforeInterrupt", With(Stopped(HostStop::kCallerGone), Overflow),
     Outcome::KIND_OUTPUT_LIMIT, ""},
    {"InterruptBeforeSignaled", With(Stopped(HostStop::kCallerGone), KilledByUs),
     Outcome::KIND_INTERRUPTED, ""},
};

INSTANTIATE_TEST_SUITE_P(All, OutcomeTest, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

TEST(OutcomeContentTest, ExceptionAndValueAreTheGuests) {
  Finished finished = FinishedWith(Finished::KIND_SUCCEEDED);
  finished.mutable_value()->set_text("42");
  EXPECT_EQ(ClassifyOutcome(Said(finished)).value().text(), "42");
  EXPECT_EQ(ClassifyOutcome(Said(FinishedWith(Finished::KIND_RAISED))).exception().type(),
            "ValueError");
  EXPECT_EQ(ClassifyOutcome(With(Said(RaisedKeyboardInterrupt()), Interrupted)).exception().type(),
            "KeyboardInterrupt");
}

TEST(OutcomeContentTest, CodesAndSignalsAreSetWhereTheyBelong) {
  EXPECT_EQ(ClassifyOutcome(Said(FinishedWith(Finished::KIND_EXITED))).exit_code(), 3);
  EXPECT_EQ(ClassifyOutcome(Exited(CLD_EXITED, 7)).exit_code(), 7);
  EXPECT_EQ(ClassifyOutcome(Exited(CLD_KILLED, SIGSEGV)).signal(), SIGSEGV);
  EXPECT_EQ(ClassifyOutcome(Exited(CLD_KILLED, SIGSYS)).signal(), SIGSYS);
  EXPECT_EQ(ClassifyOutcome(Stopped(HostStop::kWallTime)).signal(), 0);
}

TEST(OutcomeContentTest, AnExitCodeOfTheGuestsIsCutToWhatAParentWouldSee) {
  Finished finished = FinishedWith(Finished::KIND_EXITED);
  finished.set_exit_code(-1);
  EXPECT_EQ(ClassifyOutcome(Said(finished)).exit_code(), 255);
  finished.set_exit_code(0x7fffff01);
  EXPECT_EQ(ClassifyOutcome(Said(finished)).exit_code(), 1);
}

TEST(OutcomeContentTest, WhatTheGuestSaysIsNotShownForAnEndTheHostDecided) {
  Finished finished = FinishedWith(Finished::KIND_SUCCEEDED);
  finished.mutable_value()->set_text("42");
  EXPECT_FALSE(ClassifyOutcome(With(Said(finished), Overflow)).has_value());
}

}  // namespace
}  // namespace cloister::sandbox
