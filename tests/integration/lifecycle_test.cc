// Nothing survives the death of any of our processes, and a stop waits for those who still run.

#include <grpcpp/grpcpp.h>
#include <sys/wait.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/probe.h"
#include "tests/integration/server_process.h"

namespace cloister::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::IsSubsetOf;

class LifecycleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // Other servers may run on this machine.
    mounts_before_ = MountLeftovers();
    server_ = std::make_unique<ServerProcess>();
    ASSERT_TRUE(server_->WaitUntilReady().ok()) << server_->Log();
    // One that runs, beside those that wait in the pool.
    v1::ExecuteRequest request;
    request.mutable_program()->set_code("print('on')\nwhile True: pass");
    reader_ = server_->executions().Execute(&context_, request);
    v1::ExecuteResponse response;
    while (reader_->Read(&response) && response.event().stdout() != "on\n") {
    }
    tree_ = ProcessTree(server_->pid());
    ASSERT_GT(tree_.size(), 5u);
  }

  // The first process of the tree with that name.
  pid_t Find(const std::string& name) {
    for (pid_t pid : tree_) {
      if (ProcessName(pid) == name.substr(0, 15)) return pid;  // the kernel keeps that many
    }
    ADD_FAILURE() << "no process is called " << name;
    return -1;
  }

  void ExpectNothingLeft() {
    EXPECT_THAT(WaitUntilGone(tree_), IsEmpty());
    EXPECT_THAT(CgroupsOf(tree_), IsEmpty());
    EXPECT_THAT(MountLeftovers(), IsSubsetOf(mounts_before_));
  }

  // Ends the stream of the running program, whatever became of it.
  void EndStream() {
    v1::ExecuteResponse response;
    while (reader_->Read(&response)) {
    }
    (void)reader_->Finish();
  }

  std::unique_ptr<ServerProcess> server_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::ExecuteResponse>> reader_;
  std::vector<pid_t> tree_;
  std::vector<std::string> mounts_before_;
};

TEST_F(LifecycleTest, KillingTheServerLeavesNothing) {
  const pid_t spawner = Find("cloister-spawner");
  server_->Signal(SIGKILL);
  EndStream();
  server_->WaitForExit();
  EXPECT_THAT(WaitUntilGone({spawner}), IsEmpty());
  ExpectNothingLeft();
}

TEST_F(LifecycleTest, KillingTheSpawnerLeavesNothing) {
  ASSERT_EQ(::kill(Find("cloister-spawner"), SIGKILL), 0);
  EndStream();
  const int status = server_->WaitForExit();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status << server_->Log();
  ExpectNothingLeft();
}

TEST_F(LifecycleTest, AStoppedZygoteIsReplaced) {
  ASSERT_EQ(::kill(Find("zygote"), SIGSTOP), 0);
  // The stock goes, what is asked of the zygote in its place never comes, and after ten seconds of
  // that another zygote makes it.
  const absl::Time deadline = absl::Now() + absl::Seconds(40);
  int served = 0;
  while (served < 20 && absl::Now() < deadline) {
    grpc::ClientContext context;
    v1::RunCodeRequest request;
    request.mutable_program()->set_code("print(1)");
    v1::RunCodeResponse response;
    if (server_->executions().RunCode(&context, request, &response).ok()) ++served;
  }
  EXPECT_EQ(served, 20) << server_->Log();
  EXPECT_NE(server_->Log().find("did not answer and was killed"), std::string::npos);
  EndStream();
}

TEST_F(LifecycleTest, KillingTheZygoteIsSurvived) {
  const pid_t zygote = Find("zygote");
  ASSERT_EQ(::kill(zygote, SIGKILL), 0);
  v1::ExecuteResponse response;
  v1::Outcome outcome;
  while (reader_->Read(&response)) {
    if (response.event().has_finished()) outcome = response.event().finished().outcome();
  }
  EXPECT_TRUE(reader_->Finish().ok());
  EXPECT_EQ(Describe(outcome), "INTERPRETER_LOST");

  // The pool warms another zygote; the service goes on.
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  v1::RunCodeRequest request;
  request.mutable_program()->set_code("print('again')");
  v1::RunCodeResponse reply;
  const grpc::Status status = server_->executions().RunCode(&context, request, &reply);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(reply.stdout(), "again\n");

  auto all = ProcessTree(server_->pid());
  tree_.insert(tree_.end(), all.begin(), all.end());
  server_->Signal(SIGTERM);
  server_->WaitForExit();
  ExpectNothingLeft();
}

TEST_F(LifecycleTest, SigtermWaitsForWhatRuns) {
  context_.TryCancel();
  EndStream();
  grpc::ClientContext context;
  v1::ExecuteRequest request;
  request.mutable_program()->set_code("import time\nprint('on')\ntime.sleep(1)\nprint('off')");
  auto reader = server_->executions().Execute(&context, request);
  v1::ExecuteResponse response;
  while (reader->Read(&response) && response.event().stdout() != "on\n") {
  }
  server_->Signal(SIGTERM);
  std::string rest;
  v1::Outcome outcome;
  while (reader->Read(&response)) {
    rest += response.event().stdout();
    if (response.event().has_finished()) outcome = response.event().finished().outcome();
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(rest, "off\n");
  EXPECT_EQ(Describe(outcome), "SUCCEEDED");
  const int status = server_->WaitForExit();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status << server_->Log();
  ExpectNothingLeft();
}

}  // namespace
}  // namespace cloister::testing
