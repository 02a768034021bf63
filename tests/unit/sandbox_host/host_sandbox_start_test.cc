// Ends that come before the program: the service's failures, not the program's.

#include <signal.h>

#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/sandbox_host/host_sandbox_fixture.h"

namespace cloister::sandbox {
namespace {

using ::testing::HasSubstr;
using v1::Outcome;

using HostSandboxStartTest = HostSandboxTest;

TEST_F(HostSandboxStartTest, DiedBeforeItsProgramItSaysSo) {
  spawner_->SayExited(guest_->Die(SIGKILL));
  Settle();
  Run();
  EXPECT_FALSE(observer_.finished()) << "inline";
  RunUntilFinished();
  EXPECT_EQ(observer_.end().status.code(), absl::StatusCode::kInternal);
}

TEST_F(HostSandboxStartTest, DiedUnnoticedBeforeItsProgramItSaysSo) {
  (void)guest_->Die(SIGKILL);
  Run();
  RunUntilFinished();
  EXPECT_THAT(observer_.end().status.message(), HasSubstr("not started"));
}

TEST_F(HostSandboxStartTest, LosingTheSpawnerBeforeTheStartIsTheServicesFailure) {
  limits_.memory_bytes += 4096;
  Run();
  (void)guest_->Die(SIGKILL);
  spawner_->Die();
  RunUntilFinished();
  EXPECT_EQ(observer_.end().status.code(), absl::StatusCode::kInternal);
}

TEST_F(HostSandboxStartTest, AProgramTooLargeForItsMemoryIsMemoryLimit) {
  v1::Program program;
  program.set_stdin(std::string(8 << 20, 'i'));
  Run(std::move(program));
  internal::v1::SandboxExited exited = guest_->Die(SIGKILL);
  exited.set_oom_kill_count(1);
  Settle();
  spawner_->SayExited(std::move(exited));
  RunUntilFinished();
  EXPECT_TRUE(observer_.end().status.ok()) << observer_.end().status;
  EXPECT_EQ(kind(), Outcome::KIND_MEMORY_LIMIT);
}

}  // namespace
}  // namespace cloister::sandbox
