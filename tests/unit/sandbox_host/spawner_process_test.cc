// The shell stands in for the spawner: it has the same descriptor and the same ends to come to.

#include "sandbox/host/spawner_process.h"

#include <signal.h>
#include <sys/socket.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<SpawnerProcess> StartShell(const std::string& script) {
  return SpawnerProcess::Start("/bin/sh", {"-c", script});
}

TEST(SpawnerProcessTest, HasItsEndOfTheSocketAtTheAgreedDescriptor) {
  auto process = StartShell("echo hello >&3");
  ASSERT_TRUE(process.ok()) << process.status();
  const UniqueFd socket = process->TakeSocket();
  char text[16];
  ASSERT_EQ(::recv(socket.get(), text, sizeof(text), 0), 6);
  EXPECT_EQ(std::string(text, 6), "hello\n");
}

TEST(SpawnerProcessTest, InheritsNothingElse) {
  auto process = StartShell("ls /proc/self/fd | tr '\\n' ' ' >&3");
  ASSERT_TRUE(process.ok());
  const UniqueFd socket = process->TakeSocket();
  char text[64];
  const ssize_t got = ::recv(socket.get(), text, sizeof(text), 0);
  ASSERT_GT(got, 0);
  // ls has /proc/self/fd open itself.
  EXPECT_EQ(std::string(text, static_cast<size_t>(got)), "0 1 2 3 4 ");
}

TEST(SpawnerProcessTest, TellsHowItEnded) {
  auto exited = StartShell("exit 3");
  ASSERT_TRUE(exited.ok());
  EXPECT_THAT(*exited->WaitForEnd(absl::Seconds(10)), HasSubstr("exited with 3"));
  EXPECT_THAT(*exited->WaitForEnd(absl::Seconds(10)), HasSubstr("exited with 3")) << "again";

  auto killed = StartShell("kill -9 $$");
  ASSERT_TRUE(killed.ok());
  EXPECT_THAT(*killed->WaitForEnd(absl::Seconds(10)), HasSubstr("signal 9"));
}

TEST(SpawnerProcessTest, OneThatStillRunsIsNotWaitedForForever) {
  auto process = StartShell("cat <&3");
  ASSERT_TRUE(process.ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(process->WaitForEnd(absl::ZeroDuration()).status()));
}

TEST(SpawnerProcessTest, DestroyingItClosesTheSocketAndReapsIt) {
  pid_t pid;
  {
    auto process = StartShell("cat <&3");
    ASSERT_TRUE(process.ok());
    pid = process->pid();
  }
  EXPECT_EQ(::kill(pid, 0), -1) << "it is still there";
}

TEST(SpawnerProcessTest, ABinaryThatIsNotThereIsNamed) {
  auto process = SpawnerProcess::Start("/no/such/spawner", {});
  EXPECT_TRUE(absl::IsNotFound(process.status()));
  EXPECT_THAT(process.status().message(), HasSubstr("/no/such/spawner"));
}

}  // namespace
}  // namespace cloister::sandbox
