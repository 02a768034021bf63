// Live sandboxes and the life of their server: bounds, drain, and that nothing is left behind.

#include <sys/wait.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/integration/live_test.h"

namespace cloister::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::IsSubsetOf;

class LiveServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    mounts_before_ = MountLeftovers();
    server_ = std::make_unique<ServerProcess>("live_sandboxes { maximum_count: 20 }");
    ASSERT_TRUE(server_->WaitUntilReady().ok()) << server_->Log();
  }

  grpc::Status Create(std::string* name) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    v1::CreateSandboxResponse response;
    const grpc::Status status =
        server_->sandboxes().CreateSandbox(&context, v1::CreateSandboxRequest(), &response);
    *name = response.sandbox().name();
    return status;
  }

  v1::RunCodeResponse Run(const std::string& name, const std::string& code) {
    v1::RunCodeRequest request;
    request.set_interpreter(name);
    request.mutable_program()->set_code(code);
    grpc::ClientContext context;
    v1::RunCodeResponse response;
    EXPECT_TRUE(server_->executions().RunCode(&context, request, &response).ok());
    return response;
  }

  std::unique_ptr<ServerProcess> server_;
  std::vector<std::string> mounts_before_;
};

TEST_F(LiveServerTest, TenThousandCreationsAgainstTheLimitAndNothingIsLeftAfterDeletion) {
  std::vector<std::string> names(20);
  for (std::string& name : names) ASSERT_TRUE(Create(&name).ok());
  for (const std::string& name : names) (void)Run(name, "x = bytearray(1 << 20)");
  int refused = 0;
  for (int i = 0; i < 10'000; ++i) {
    std::string name;
    const grpc::Status status = Create(&name);
    ASSERT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
    refused += Reason(status) == "SANDBOX_COUNT_EXCEEDED";
  }
  EXPECT_EQ(refused, 10'000);
  const std::vector<pid_t> tree = ProcessTree(server_->pid());
  for (const std::string& name : names) {
    v1::DeleteSandboxRequest request;
    request.set_name(name);
    grpc::ClientContext context;
    v1::DeleteSandboxResponse response;
    EXPECT_TRUE(server_->sandboxes().DeleteSandbox(&context, request, &response).ok());
  }
  // Those that waited in the pool may still be there, so that a few remain.
  std::vector<pid_t> left = WaitUntilGone(tree, absl::Seconds(3));
  EXPECT_LT(left.size(), tree.size() - 30) << "of " << tree.size();
  std::string name;
  EXPECT_TRUE(Create(&name).ok()) << "there is room again";
}

TEST_F(LiveServerTest, KillingTheServerLeavesNothingOfThem) {
  std::string name;
  ASSERT_TRUE(Create(&name).ok());
  (void)Run(name,
            "import threading, time\n"
            "threading.Thread(target=time.sleep, args=(100,), daemon=True).start()");
  const std::vector<pid_t> tree = ProcessTree(server_->pid());
  server_->Signal(SIGKILL);
  (void)server_->WaitForExit();
  EXPECT_THAT(WaitUntilGone(tree), IsEmpty());
  EXPECT_THAT(CgroupsOf(tree), IsEmpty());
  EXPECT_THAT(MountLeftovers(), IsSubsetOf(mounts_before_));
}

TEST_F(LiveServerTest, ADrainWaitsForExecutionsAndNotForIdleSandboxes) {
  std::string idle, busy;
  ASSERT_TRUE(Create(&idle).ok());
  ASSERT_TRUE(Create(&busy).ok());
  RunningCell cell(server_->executions(), busy,
                   "print('on', flush=True)\nimport time; time.sleep(1)\nprint('off')");
  cell.AwaitOutput("on");
  const std::vector<pid_t> tree = ProcessTree(server_->pid());
  server_->Signal(SIGTERM);
  cell.AwaitOutput("off");
  EXPECT_EQ(cell.AwaitEnd().kind(), v1::Outcome::KIND_SUCCEEDED);
  EXPECT_EQ(WEXITSTATUS(server_->WaitForExit()), 0);
  EXPECT_THAT(WaitUntilGone(tree), IsEmpty());
}

}  // namespace
}  // namespace cloister::testing
