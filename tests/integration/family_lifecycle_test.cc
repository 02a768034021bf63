// A family (live sandbox, fork, fork of the fork, snapshot) and the death of any process of ours: nothing survives
// what has to go along, and the rest goes on.

#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/integration/live_test.h"

namespace cloister::testing {
namespace {

using ::testing::AnyOf;
using ::testing::IsEmpty;
using ::testing::IsSubsetOf;

constexpr char kServer[] = "cloisterd";
constexpr char kSpawner[] = "cloister-spawne";  // as much as the kernel keeps of a name

pid_t ParentOf(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/stat"));
  std::string number, name, state;
  pid_t parent = 0;
  file >> number >> name >> state >> parent;
  return parent;
}

class FamilyLifecycleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // Other servers may run on this machine.
    mounts_before_ = MountLeftovers();
    server_ = std::make_unique<ServerProcess>();
    ASSERT_TRUE(server_->WaitUntilReady().ok()) << server_->Log();
    const std::vector<pid_t> first = ProcessTree(server_->pid());
    const std::set<pid_t> without(first.begin(), first.end());
    MakeFamily();
    tree_ = ProcessTree(server_->pid());
    for (const pid_t pid : tree_) {
      if (without.count(pid) == 0) of_family_.push_back(pid);
    }
    ASSERT_GT(of_family_.size(), 8u);
  }

  void MakeFamily() {
    v1::CreateSandboxResponse created;
    grpc::ClientContext context;
    ASSERT_TRUE(server_->sandboxes()
                    .CreateSandbox(&context, v1::CreateSandboxRequest(), &created)
                    .ok());
    family_ = {created.sandbox().name()};
    EXPECT_EQ(Run(family_[0], "x = [1]"), "SUCCEEDED");
    family_.push_back(Fork(family_[0]));
    family_.push_back(Fork(family_[1]));
    v1::CreateSnapshotRequest request;
    request.set_sandbox(family_[2]);
    v1::CreateSnapshotResponse response;
    grpc::ClientContext again;
    ASSERT_TRUE(server_->sandboxes().CreateSnapshot(&again, request, &response).ok());
    snapshot_ = response.snapshot().name();
  }

  std::string Fork(const std::string& parent) {
    v1::ForkSandboxRequest request;
    request.set_name(parent);
    v1::ForkSandboxResponse response;
    grpc::ClientContext context;
    const grpc::Status status =
        server_->sandboxes().ForkSandbox(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return status.ok() ? response.sandboxes(0).name() : "";
  }

  // The outcome, or the reason why it did not run.
  std::string Run(const std::string& sandbox, const std::string& code) {
    v1::RunCodeRequest request;
    request.set_interpreter(sandbox);
    request.mutable_program()->set_code(code);
    v1::RunCodeResponse response;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    const grpc::Status status = server_->executions().RunCode(&context, request, &response);
    return status.ok() ? Describe(response.outcome()) : Reason(status);
  }
  std::string CreateFrom(const std::string& snapshot) {
    v1::CreateSandboxRequest request;
    request.set_snapshot(snapshot);
    v1::CreateSandboxResponse response;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    const grpc::Status status =
        server_->sandboxes().CreateSandbox(&context, request, &response);
    return status.ok() ? response.sandbox().name() : Reason(status);
  }
  grpc::Status Restart(const std::string& name) {
    v1::RestartSandboxRequest request;
    request.set_name(name);
    v1::RestartSandboxResponse response;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    return server_->sandboxes().RestartSandbox(&context, request, &response);
  }

  // The nursery that came with the family, and its zygote, which is the parent of all in it.
  pid_t Nursery() {
    for (const pid_t pid : of_family_) {
      if (ProcessName(pid) == "nursery") return pid;
    }
    ADD_FAILURE() << "no nursery";
    return -1;
  }
  pid_t Zygote() {
    for (const pid_t pid : of_family_) {
      if (ProcessName(pid) == "zygote" && ParentOf(pid) == Nursery()) return pid;
    }
    ADD_FAILURE() << "no zygote";
    return -1;
  }
  pid_t Find(const std::string& name) {
    for (const pid_t pid : tree_) {
      if (ProcessName(pid) == name) return pid;
    }
    ADD_FAILURE() << "no process is called " << name;
    return -1;
  }

  void ExpectAllLost() {
    for (const std::string& name : family_) {
      // The first may come before the server has seen it.
      EXPECT_THAT(Run(name, "x"), AnyOf("SANDBOX_LOST", "INTERPRETER_LOST"));
      EXPECT_EQ(Run(name, "x"), "SANDBOX_LOST");
    }
  }
  void ExpectNothingLeft() {
    EXPECT_THAT(WaitUntilGone(tree_), IsEmpty());
    EXPECT_THAT(CgroupsOf(tree_), IsEmpty());
    EXPECT_THAT(MountLeftovers(), IsSubsetOf(mounts_before_));
  }
  void StopAndExpectNothingLeft() {
    const auto all = ProcessTree(server_->pid());
    tree_.insert(tree_.end(), all.begin(), all.end());
    server_->Signal(SIGTERM);
    EXPECT_EQ(WEXITSTATUS(server_->WaitForExit()), 0);
    ExpectNothingLeft();
  }

  std::unique_ptr<ServerProcess> server_;
  std::vector<std::string> family_;  // each the parent of the next
  std::string snapshot_;
  std::vector<pid_t> tree_, of_family_;
  std::vector<std::string> mounts_before_;
};

TEST_F(FamilyLifecycleTest, KillingTheServerLeavesNothing) {
  ASSERT_EQ(ProcessName(server_->pid()), kServer);
  server_->Signal(SIGKILL);
  (void)server_->WaitForExit();
  ExpectNothingLeft();
}

TEST_F(FamilyLifecycleTest, KillingTheSpawnerLeavesNothing) {
  ASSERT_EQ(kill(Find(kSpawner), SIGKILL), 0);
  EXPECT_EQ(WEXITSTATUS(server_->WaitForExit()), 1) << server_->Log();
  ExpectNothingLeft();
}

TEST_F(FamilyLifecycleTest, TheStopOfTheServerLeavesNothing) { StopAndExpectNothingLeft(); }

TEST_F(FamilyLifecycleTest, TheDeathOfTheirZygoteTakesAllAndAnotherOneServes) {
  ASSERT_EQ(kill(Zygote(), SIGKILL), 0);
  EXPECT_THAT(WaitUntilGone(of_family_), IsEmpty());
  ExpectAllLost();
  EXPECT_EQ(CreateFrom(snapshot_), "SANDBOX_SETUP_FAILED") << "the snapshot is lost as well";
  const grpc::Status status = Restart(family_[0]);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(Run(family_[0], "x"), "RAISED NameError");
  EXPECT_EQ(Run(Fork(family_[0]), "1"), "SUCCEEDED");
  StopAndExpectNothingLeft();
}

TEST_F(FamilyLifecycleTest, TheDeathOfTheirNurseryTakesAllAndAnotherOneServes) {
  ASSERT_EQ(kill(Nursery(), SIGKILL), 0);
  EXPECT_THAT(WaitUntilGone(of_family_), IsEmpty());
  ExpectAllLost();
  EXPECT_TRUE(Restart(family_[1]).ok());
  EXPECT_EQ(Run(family_[1], "1"), "SUCCEEDED");
  StopAndExpectNothingLeft();
}

// One after another: whatever it is of a sandbox, its end is that of one sandbox at most, or of none.
TEST_F(FamilyLifecycleTest, TheDeathOfOneProcessOfASandboxTouchesNoOtherSandbox) {
  const pid_t zygote = Zygote(), nursery = Nursery();
  size_t lost = 0;
  for (const pid_t pid : of_family_) {
    if (pid == zygote || pid == nursery) continue;
    if (kill(pid, SIGKILL) != 0) continue;  // it went with another one
    EXPECT_THAT(WaitUntilGone({pid}), IsEmpty());
    size_t now = 0;
    for (const std::string& name : family_) {
      const std::string how = Run(name, "x.append(1)");
      EXPECT_THAT(how, AnyOf("SUCCEEDED", "SANDBOX_LOST", "SIGNALED 9", "INTERPRETER_LOST"));
      if (how != "SUCCEEDED") ++now;
    }
    EXPECT_LE(now, lost + 1);
    lost = std::max(lost, now);
  }
  EXPECT_EQ(lost, family_.size());
  // The zygote serves as before.
  EXPECT_TRUE(Restart(family_[0]).ok());
  EXPECT_EQ(Run(Fork(family_[0]), "1"), "SUCCEEDED");
  EXPECT_EQ(ProcessName(zygote), "zygote");
  StopAndExpectNothingLeft();
}

TEST_F(FamilyLifecycleTest, DeletingAParentWhileForksAreMade) {
  constexpr int kRounds = 20;
  int made = 0, refused = 0;
  for (int round = 0; round < kRounds; ++round) {
    v1::CreateSandboxResponse created;
    grpc::ClientContext context;
    ASSERT_TRUE(server_->sandboxes()
                    .CreateSandbox(&context, v1::CreateSandboxRequest(), &created)
                    .ok());
    const std::string& parent = created.sandbox().name();
    EXPECT_EQ(Run(parent, absl::StrCat("n = ", round)), "SUCCEEDED");
    v1::ForkSandboxRequest request;
    request.set_name(parent);
    request.set_count(5);
    v1::ForkSandboxResponse response;
    grpc::Status status;
    std::thread forking([&] {
      grpc::ClientContext own;
      status = server_->sandboxes().ForkSandbox(&own, request, &response);
    });
    // At another moment in each round; in the last one after it, however long it takes.
    std::this_thread::sleep_for(std::chrono::microseconds(round * 700));
    if (round == kRounds - 1) forking.join();
    v1::DeleteSandboxRequest remove;
    remove.set_name(parent);
    v1::DeleteSandboxResponse removed;
    grpc::ClientContext end;
    EXPECT_TRUE(server_->sandboxes().DeleteSandbox(&end, remove, &removed).ok());
    if (forking.joinable()) forking.join();
    if (!status.ok()) {
      EXPECT_EQ(Reason(status), "SANDBOX_NOT_FOUND") << status.error_message();
      ++refused;
      continue;
    }
    ++made;
    EXPECT_EQ(response.sandboxes_size(), 5);
    for (const v1::Sandbox& fork : response.sandboxes()) {
      EXPECT_EQ(Run(fork.name(), absl::StrCat("assert n == ", round)), "SUCCEEDED");
      remove.set_name(fork.name());
      grpc::ClientContext one;
      EXPECT_TRUE(server_->sandboxes().DeleteSandbox(&one, remove, &removed).ok());
    }
  }
  EXPECT_GT(made, 0);
  EXPECT_GT(refused, 0);
  v1::ListSandboxesResponse list;
  grpc::ClientContext context;
  ASSERT_TRUE(server_->sandboxes().ListSandboxes(&context, {}, &list).ok());
  EXPECT_EQ(list.sandboxes_size(), static_cast<int>(family_.size())) << "none is left over";
  StopAndExpectNothingLeft();
}

// Whoever goes while it is made takes what is made along; whoever forks can ask again what became of it.
TEST_F(FamilyLifecycleTest, ClientsThatVanishWhileTheyCreateAndFork) {
  for (int round = 0; round < 50; ++round) {
    v1::CreateSandboxRequest create;
    create.mutable_ttl()->set_seconds(3);
    v1::CreateSandboxResponse created;
    grpc::ClientContext context;
    std::thread creating([&] {
      (void)server_->sandboxes().CreateSandbox(&context, create, &created);
    });
    std::this_thread::sleep_for(std::chrono::microseconds(round * 100));
    context.TryCancel();
    creating.join();
  }
  std::vector<std::string> ids;
  for (int round = 0; round < 10; ++round) {
    v1::ForkSandboxRequest request;
    request.set_name(family_[0]);
    request.set_request_id(absl::StrCat("vanished-", round));
    grpc::ClientContext context;
    v1::ForkSandboxResponse response;
    std::thread forking([&] {
      (void)server_->sandboxes().ForkSandbox(&context, request, &response);
    });
    std::this_thread::sleep_for(std::chrono::microseconds(round * 400));
    context.TryCancel();
    forking.join();
    grpc::ClientContext again;
    const grpc::Status status = server_->sandboxes().ForkSandbox(&again, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(Run(response.sandboxes(0).name(), "x"), "SUCCEEDED");
    family_.push_back(response.sandboxes(0).name());
  }
  // Those whose answer crossed the end of the call go when their time is over.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(15);
  int count = 0;
  do {
    v1::ListSandboxesResponse list;
    grpc::ClientContext context;
    ASSERT_TRUE(server_->sandboxes().ListSandboxes(&context, {}, &list).ok());
    count = list.sandboxes_size();
  } while (count > static_cast<int>(family_.size()) && std::chrono::steady_clock::now() < deadline);
  EXPECT_EQ(count, static_cast<int>(family_.size()));
  StopAndExpectNothingLeft();
}

}  // namespace
}  // namespace cloister::testing
