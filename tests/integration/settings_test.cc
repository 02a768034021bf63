// Live sandboxes, forks and snapshots where the server is not root: with user namespaces (rootless), and in an ordinary
// container, which has none and says by name what it cannot do.

#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "tests/integration/fork_test_base.h"

namespace cloister::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using v1::Outcome;

class SettingTest : public ForkTest {
 protected:
  static void Start(const std::string& config, const std::vector<std::string>& wrapper) {
    server_ = new ServerProcess(config, {}, wrapper);
    ASSERT_TRUE(server_->WaitUntilReady().ok()) << server_->Log();
  }

  // What holds in every setting.
  void LiveSandboxesWork() {
    const std::string name = Create().name();
    EXPECT_EQ(Value(name, "x = [1]; open('f', 'w').write('kept')"), "4");
    EXPECT_EQ(Value(name, "x, open('f').read()"), "([1], 'kept')");
    RunningCell cell(server_->executions(), name, "print('on', flush=True)\nwhile True: pass");
    cell.AwaitOutput("on");
    (void)Interrupt(name);
    EXPECT_EQ(cell.AwaitEnd().kind(), Outcome::KIND_INTERRUPTED);
    EXPECT_EQ(Value(name, "x"), "[1]");
    const std::string other = Create().name();
    EXPECT_EQ(Cell(other, "x").outcome().exception().type(), "NameError");
    EXPECT_EQ(Value(other, "import os; os.listdir()"), "[]");
    EXPECT_EQ(Cell(name, "import os; os.abort()").outcome().kind(), Outcome::KIND_SIGNALED);
    EXPECT_EQ(Value(other, "1"), "1");
    (void)Restart(name);
    EXPECT_EQ(Value(name, "import os; os.listdir()"), "[]");
    EXPECT_TRUE(Delete(name).ok());
  }
  void MemoryIsBounded() {
    v1::CreateSandboxRequest request;
    request.mutable_limits()->set_memory_bytes(64 << 20);
    const std::string name = Create(request).name();
    const Outcome outcome =
        Cell(name, "b = []\nwhile True: b.append(bytearray(b'x' * (1 << 20)))").outcome();
    // Without a cgroup the rlimit may be the first to say so, as MemoryError.
    if (outcome.kind() == Outcome::KIND_RAISED) {
      EXPECT_EQ(outcome.exception().type(), "MemoryError");
    } else {
      EXPECT_EQ(outcome.kind(), Outcome::KIND_MEMORY_LIMIT) << outcome.DebugString();
    }
  }
  void NothingIsLeft() {
    const std::vector<pid_t> tree = ProcessTree(server_->pid());
    delete server_;
    server_ = nullptr;
    EXPECT_THAT(WaitUntilGone(tree), IsEmpty());
  }
};

class RootlessTest : public SettingTest {
 protected:
  static void SetUpTestSuite() {
    Start("", {"/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"});
  }
};

TEST_F(RootlessTest, LiveSandboxes) {
  LiveSandboxesWork();
  MemoryIsBounded();
}

TEST_F(RootlessTest, ForksAndSnapshots) {
  const std::string parent = Create().name();
  (void)Cell(parent, "x = [1]; open('f', 'w').write('past')");
  const std::string fork = Fork(parent)[0];
  const std::string grandchild = Fork(fork)[0];
  EXPECT_EQ(Value(grandchild, "x.append(2); open('f', 'w').write('mine'); x"), "[1, 2]");
  EXPECT_EQ(Value(parent, "x, open('f').read()"), "([1], 'past')");
  EXPECT_EQ(Value(fork, "import os; x, sorted(p for p in os.listdir('/proc') if p.isdigit())"),
            "([1], ['2'])");
  v1::Snapshot snapshot;
  const grpc::Status status = TrySnapshot(fork, &snapshot);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(Delete(fork).ok());
  v1::CreateSandboxRequest request;
  request.set_snapshot(snapshot.name());
  EXPECT_EQ(Value(Create(request).name(), "x"), "[1]");
}

TEST_F(RootlessTest, ZLeavesNothing) { NothingIsLeft(); }

class OrdinaryContainerTest : public SettingTest {
 protected:
  static void SetUpTestSuite() {
    Start("isolation_floor { required_layers: \"seccomp\" required_layers: \"landlock\" }",
          {ORDINARY_CONTAINER});
  }
};

TEST_F(OrdinaryContainerTest, LiveSandboxes) {
  LiveSandboxesWork();
  MemoryIsBounded();
}

TEST_F(OrdinaryContainerTest, ForksAreRefusedByName) {
  const std::string parent = Create().name();
  (void)Cell(parent, "x = 1");
  v1::ForkSandboxRequest request;
  request.set_name(parent);
  std::vector<std::string> names;
  const grpc::Status fork = TryFork(request, &names);
  EXPECT_EQ(Reason(fork), "FORK_UNSUPPORTED");
  EXPECT_THAT(fork.error_message(), HasSubstr("namespaces"));
  v1::Snapshot snapshot;
  EXPECT_EQ(Reason(TrySnapshot(parent, &snapshot)), "FORK_UNSUPPORTED");
  EXPECT_EQ(Value(parent, "x"), "1");
}

TEST_F(OrdinaryContainerTest, ZLeavesNothing) { NothingIsLeft(); }

}  // namespace
}  // namespace cloister::testing
