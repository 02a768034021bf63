// One program in one sandbox that goes well, or past a limit: what the guest does, and what the
// host makes of it.

#include <signal.h>

#include <string>
#include <thread>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/sandbox_host/host_sandbox_fixture.h"

namespace cloister::sandbox {
namespace {

using internal::v1::Finished;
using internal::v1::SpawnerRequest;
using ::testing::HasSubstr;
using v1::Outcome;

TEST_F(HostSandboxTest, HandsTheProgramOverAndReportsItsEnd) {
  v1::Program program;
  program.set_code("print(1)");
  Run(std::move(program));
  const internal::v1::RunProgram received = guest_->ReadProgram();
  EXPECT_EQ(received.program().code(), "print(1)");
  EXPECT_EQ(received.limits().cpu_seconds(), 11);
  EXPECT_EQ(received.limits().process_count(), 0) << "the pids cgroup counts";
  guest_->Write("1\n");
  guest_->WriteError("e");
  guest_->SayFinished();
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_SUCCEEDED);
  EXPECT_EQ(observer_.out, "1\n");
  EXPECT_EQ(observer_.err, "e");
  EXPECT_EQ(observer_.outcome().usage().stdout_bytes(), 2);
  EXPECT_EQ(observer_.outcome().usage().stderr_bytes(), 1);
  EXPECT_EQ(observer_.outcome().usage().peak_memory_bytes(), 4096);
  EXPECT_TRUE(observer_.outcome().stage_times().has_first_output());
  EXPECT_TRUE(observer_.outcome().stage_times().has_ran());
  EXPECT_FALSE(observer_.outcome().state_preserved());
  ExpectKill();
}

TEST_F(HostSandboxTest, TheEndDoesNotWaitForTheProcess) {
  Start();
  guest_->SayFinished();
  RunUntilFinished();
  EXPECT_EQ(::kill(guest_->pid(), 0), 0);
  EXPECT_FALSE(observer_.outcome().stage_times().has_first_output());
}

TEST_F(HostSandboxTest, LimitsTheKernelHoldsAreSetFirstWhereTheyDiffer) {
  limits_.memory_bytes *= 2;
  Run();
  const SpawnerRequest request = spawner_->Next();
  EXPECT_EQ(request.set_sandbox_limits().limits().memory_bytes(), limits_.memory_bytes);
  EXPECT_EQ(request.set_sandbox_limits().limits().process_count(), limits_.process_count);
  EXPECT_EQ(request.set_sandbox_limits().workspace_bytes(), limits_.workspace_bytes);
  internal::v1::SpawnerEvent event;
  event.mutable_sandbox_limits_set()->set_sandbox_id(guest_->sandbox_id());
  spawner_->Say(event);
  Settle();
  (void)guest_->ReadProgram();
  guest_->SayFinished();
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_SUCCEEDED);
}

TEST_F(HostSandboxTest, IfLimitsCannotBeSetTheProgramIsNotStarted) {
  limits_.workspace_bytes += 4096;
  Run();
  (void)spawner_->Next();
  internal::v1::SpawnerEvent event;
  event.mutable_sandbox_limits_set()->set_sandbox_id(guest_->sandbox_id());
  event.mutable_sandbox_limits_set()->set_error("no tmpfs");
  spawner_->Say(event);
  RunUntilFinished();
  EXPECT_EQ(observer_.end().status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(observer_.end().status.message(), HasSubstr("no tmpfs"));
  EXPECT_EQ(kind(), Outcome::KIND_UNSPECIFIED);
  ExpectKill();
}

TEST_F(HostSandboxTest, LongProgramsGoOverInPieces) {
  v1::Program program;
  program.set_stdin(std::string(8 << 20, 'i'));
  Run(std::move(program));
  internal::v1::RunProgram received;
  // The guest's side waits for the loop's: two threads, as in life.
  std::thread guest([&] {
    received = guest_->ReadProgram();
    guest_->SayFinished();
  });
  RunUntilFinished();
  guest.join();
  EXPECT_EQ(received.program().stdin().size(), size_t{8} << 20);
  EXPECT_EQ(kind(), Outcome::KIND_SUCCEEDED);
}

TEST_F(HostSandboxTest, FilesThatWereAskedForComeBack) {
  v1::Program program;
  program.add_return_files("a");
  program.add_return_files("b");
  Run(std::move(program));
  (void)guest_->ReadProgram();
  internal::v1::GuestFrame frame;
  frame.mutable_finished()->set_kind(Finished::KIND_SUCCEEDED);
  v1::ReturnedFile* file = frame.mutable_finished()->add_files();
  file->set_path("b");
  file->set_content("content");
  guest_->Say(frame);
  RunUntilFinished();
  ASSERT_EQ(observer_.end().files.size(), 1u);
  EXPECT_EQ(observer_.end().files[0].content(), "content");
}

TEST_F(HostSandboxTest, AFileNobodyAskedForBreaksTheProtocol) {
  Start();
  internal::v1::GuestFrame frame;
  frame.mutable_finished()->set_kind(Finished::KIND_SUCCEEDED);
  frame.mutable_finished()->add_files()->set_path("../../.bashrc");
  guest_->Say(frame);
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_POLICY_VIOLATION);
  EXPECT_TRUE(observer_.end().files.empty());
}

// ---- output -------------------------------------------------------------------------------------

TEST_F(HostSandboxTest, OutputArrivesWhileTheProgramRunsInPiecesOf64KiB) {
  Start();
  for (int i = 1; i <= 3; ++i) {
    guest_->Write(std::string(65536, 'x'));
    RunUntil(&loop_, [&] { return observer_.out.size() == 65536u * i; });
  }
  EXPECT_LE(observer_.longest_piece, 65536u);
  EXPECT_FALSE(observer_.finished());
}

TEST_F(HostSandboxTest, WhatIsWithinTheOutputLimitIsDeliveredAndNoMore) {
  limits_.output_bytes = 100'000;
  Start();
  guest_->Write(std::string(60'000, 'a'));
  RunUntil(&loop_, [this] { return observer_.out.size() == 60'000; });
  guest_->Write(std::string(60'000, 'b'));
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_OUTPUT_LIMIT);
  EXPECT_EQ(observer_.out.size(), 100'000u);
  EXPECT_EQ(observer_.outcome().truncated_stdout_bytes(), 20'000);
  EXPECT_EQ(observer_.outcome().usage().stdout_bytes(), 120'000);
  ExpectKill();
}

TEST_F(HostSandboxTest, TheOutputLimitIsOneForBothStreams) {
  limits_.output_bytes = 100;
  Start();
  guest_->Write(std::string(60, 'a'));
  guest_->WriteError(std::string(60, 'b'));
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_OUTPUT_LIMIT);
  EXPECT_EQ(observer_.out.size() + observer_.err.size(), 100u);
  EXPECT_EQ(
      observer_.outcome().truncated_stdout_bytes() + observer_.outcome().truncated_stderr_bytes(),
      20);
}

TEST_F(HostSandboxTest, ExactlyTheOutputLimitIsAllowed) {
  limits_.output_bytes = 100;
  Start();
  guest_->Write(std::string(100, 'a'));
  guest_->SayFinished();
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_SUCCEEDED);
  EXPECT_EQ(observer_.out.size(), 100u);
}

TEST_F(HostSandboxTest, AnOverflowCountsHoweverFastTheProgramEnds) {
  limits_.output_bytes = 100;
  Start();
  guest_->Write(std::string(101, 'a'));
  guest_->SayFinished();
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_OUTPUT_LIMIT);
  EXPECT_EQ(observer_.out.size(), 100u);
}

TEST_F(HostSandboxTest, PausedOutputStaysInThePipeUntilResumed) {
  Start();
  sandbox_->PauseOutput();
  guest_->Write(std::string(65536, 'x'));
  Settle();
  EXPECT_EQ(observer_.out, "");
  EXPECT_FALSE(guest_->CanWrite()) << "the guest should block on its own write";
  sandbox_->ResumeOutput();
  RunUntil(&loop_, [this] { return observer_.out.size() == 65536; });
  EXPECT_TRUE(guest_->CanWrite());
}

TEST_F(HostSandboxTest, PausedFromInsideItsOutputItReadsNoMore) {
  Start();
  observer_.on_output = [this] { sandbox_->PauseOutput(); };
  guest_->Write("first");
  RunUntil(&loop_, [this] { return observer_.out == "first"; });
  guest_->Write("second");
  Settle();
  EXPECT_EQ(observer_.out, "first");
  sandbox_->ResumeOutput();
  RunUntil(&loop_, [this] { return observer_.out == "firstsecond"; });
}

TEST_F(HostSandboxTest, WhatThePipesHoldAtTheEndIsDeliveredEvenWhilePaused) {
  Start();
  sandbox_->PauseOutput();
  guest_->Write("tail");
  guest_->SayFinished();
  RunUntilFinished();
  EXPECT_EQ(observer_.out, "tail");
}

TEST_F(HostSandboxTest, AProgramThatClosesItsOutputGoesOn) {
  Start();
  guest_->CloseOutput();
  Settle();
  EXPECT_FALSE(observer_.finished());
  guest_->SayFinished();
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_SUCCEEDED);
}

// ---- limits of the host -------------------------------------------------------------------------

TEST_F(HostSandboxTest, WallTimeEndsAProgramThatDoesNothing) {
  limits_.wall_time = absl::Milliseconds(30);
  Start();
  guest_->Write("partial");
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_WALL_TIMEOUT);
  EXPECT_EQ(observer_.out, "partial");
  EXPECT_GE(observer_.outcome().usage().wall_time().nanos(), 30'000'000);
  ExpectKill();
}

TEST_F(HostSandboxTest, WallTimeGoesOnWhileOutputIsPaused) {
  limits_.wall_time = absl::Milliseconds(30);
  Start();
  sandbox_->PauseOutput();
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_WALL_TIMEOUT);
}

TEST_F(HostSandboxTest, AnAnswerThatWasThereBeforeTheStopCounts) {
  Start();
  guest_->SayFinished();
  sandbox_->Stop(StopReason::kCallerGone);
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_SUCCEEDED);
}

TEST_F(HostSandboxTest, ProcessorTimeOfTheGuestIsSeenFromOutside) {
  limits_.cpu_time = absl::Milliseconds(30);
  guest_ = nullptr;
  MakeSandbox(/*with_cgroup=*/true, FakeGuest::Work::kSpin);
  Start();
  guest_->BeginWork();
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_CPU_TIMEOUT);
  EXPECT_GE(observer_.outcome().usage().cpu_time().nanos(), 30'000'000);
  ExpectKill();
}

TEST_F(HostSandboxTest, WithoutACgroupMemoryIsSampledAndProcessesAreLeftToTheGuest) {
  limits_.memory_bytes = 16 << 20;
  guest_ = nullptr;
  MakeSandbox(/*with_cgroup=*/false, FakeGuest::Work::kEatMemory);
  Run();
  EXPECT_EQ(guest_->ReadProgram().limits().process_count(), limits_.process_count);
  guest_->BeginWork();
  RunUntilFinished();
  EXPECT_EQ(kind(), Outcome::KIND_MEMORY_LIMIT);
  EXPECT_GT(observer_.outcome().usage().peak_memory_bytes(), limits_.memory_bytes);
  ExpectKill();
}

}  // namespace
}  // namespace cloister::sandbox
