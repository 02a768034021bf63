// Templates that allow subprocesses: they work, they are counted, and they end with their sandbox.

#include <grpcpp/grpcpp.h>

#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/probe.h"
#include "tests/integration/server_process.h"

namespace cloister::testing {
namespace {

using ::testing::IsEmpty;

constexpr char kConfig[] = R"(
  templates { name: "python3.14" allow_subprocesses: true pool { minimum_ready: 1 } }
)";

// What starts another Python: the image holds no shell.
constexpr char kPrelude[] =
    "import subprocess, sys\n"
    "def start(code, **how):\n"
    "    return subprocess.Popen(['/usr/bin/python3', '-I', '-c', code], **how)\n";

class SubprocessTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new ServerProcess(kConfig);
    ASSERT_TRUE(server_->WaitUntilReady().ok()) << server_->Log();
  }

  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  static v1::RunCodeResponse Run(const std::string& code, const v1::Limits& limits = {}) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    v1::RunCodeRequest request;
    request.mutable_program()->set_code(kPrelude + code);
    *request.mutable_limits() = limits;
    v1::RunCodeResponse response;
    const grpc::Status status = server_->executions().RunCode(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  // Processes that a program started: those of the pool have the zygote's name.
  static std::vector<pid_t> Started() {
    std::vector<pid_t> started;
    for (pid_t pid : ProcessTree(server_->pid())) {
      if (ProcessName(pid).starts_with("python3")) started.push_back(pid);
    }
    return started;
  }

  static inline ServerProcess* server_ = nullptr;
};

TEST_F(SubprocessTest, RunsAndTalksThroughPipes) {
  const auto response = Run(
      "child = start('print(int(input()) * 7)', stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
      "print(child.communicate(b'6')[0].decode().strip(), child.returncode)\n");
  EXPECT_EQ(response.stdout(), "42 0\n") << response.stderr();
}

TEST_F(SubprocessTest, TheCpuLimitIsForAllTogether) {
  v1::Limits limits;
  limits.mutable_cpu_time()->set_nanos(500'000'000);
  limits.mutable_wall_time()->set_seconds(30);
  const auto response =
      Run("children = [start('while True: pass') for _ in range(2)]\nchildren[0].wait()\n", limits);
  EXPECT_EQ(Describe(response.outcome()), "CPU_TIMEOUT") << response.outcome().detail();
  // Two cores and two children: what one alone would take was not waited for.
  EXPECT_LT(response.outcome().usage().wall_time().seconds(), 10);
  EXPECT_GE(response.outcome().usage().cpu_time().nanos(), 500'000'000);
}

TEST_F(SubprocessTest, UsageCountsChildren) {
  const auto response =
      Run("burn = 'import time\\nwhile time.process_time() < 0.3: pass'\nstart(burn).wait()\n");
  EXPECT_EQ(Describe(response.outcome()), "SUCCEEDED") << response.stderr();
  EXPECT_GE(response.outcome().usage().cpu_time().nanos(), 300'000'000);
}

TEST_F(SubprocessTest, TheMemoryLimitIsForAllTogether) {
  v1::Limits limits;
  limits.set_memory_bytes(128 << 20);
  const auto response = Run(
      "hog = \"x = b'x' * (40 << 20); print('ok', flush=True); import sys; sys.stdin.read()\"\n"
      "children = [start(hog, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(5)]\n"
      "for child in children: child.stdout.readline()\n"
      "for child in children: child.stdin.close()\n"
      "print(-9 in [child.wait() for child in children])\n",
      limits);
  // The kernel may choose one of the children, which may have said "ok" by then, or end all.
  if (Describe(response.outcome()) != "MEMORY_LIMIT") {
    EXPECT_EQ(response.stdout(), "True\n") << Describe(response.outcome()) << response.stderr();
  }
}

TEST_F(SubprocessTest, NothingSurvivesItsProgram) {
  const auto response =
      Run("start('import time; time.sleep(1000)', start_new_session=True)\n"
          "daemon = 'import os, time\\nif os.fork() == 0:\\n os.setsid()\\n time.sleep(1000)'\n"
          "print(start(daemon).wait())\n");
  EXPECT_EQ(response.stdout(), "0\n") << response.stderr();
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (!Started().empty() && absl::Now() < deadline) {
  }
  EXPECT_THAT(Started(), IsEmpty());
}

}  // namespace
}  // namespace cloister::testing
