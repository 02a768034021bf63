// Forks and snapshots of live sandboxes against a real server.

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "tests/integration/fork_test_base.h"

namespace cloister::testing {
namespace {

using ::testing::HasSubstr;
using v1::Outcome;

using ForkServiceTest = ForkTest;

TEST_F(ForkServiceTest, CopiesStateAndFilesAndKeepsThemApart) {
  const std::string parent = Create().name();
  (void)Cell(parent, "x = [1]\nopen('/workspace/f', 'w').write('shared past')\n"
                     "open('/tmp/t', 'w').write('t')");
  const std::string fork = Fork(parent)[0];
  EXPECT_EQ(Value(fork, "x.append(2); (x, open('f').read(), open('/tmp/t').read())"),
            "([1, 2], 'shared past', 't')");
  EXPECT_EQ(Value(parent, "open('f', 'w').write('parent'); x"), "[1]");
  EXPECT_EQ(Value(fork, "open('f').read()"), "'shared past'");
  EXPECT_EQ(Value(fork, "open('g', 'w').write(''); import os; sorted(os.listdir())"), "['f', 'g']");
  EXPECT_EQ(Value(parent, "import os; os.listdir()"), "['f']");
  v1::Sandbox described;
  ASSERT_TRUE(Get(fork, &described).ok());
  EXPECT_EQ(described.parent(), parent);
  EXPECT_EQ(described.state(), v1::Sandbox::STATE_READY);
}

TEST_F(ForkServiceTest, ParentsAndForksEndWithoutEachOther) {
  const std::string parent = Create().name();
  (void)Cell(parent, "x = 1");
  const std::vector<std::string> forks = Fork(parent, 3);
  EXPECT_TRUE(Delete(forks[0]).ok());
  EXPECT_EQ(Value(parent, "x"), "1");
  EXPECT_EQ(Cell(forks[1], "import os; os.abort()").outcome().kind(), Outcome::KIND_SIGNALED);
  EXPECT_EQ(Value(parent, "x"), "1");
  EXPECT_EQ(Cell(parent, "import os; os.kill(os.getpid(), 9)").outcome().kind(),
            Outcome::KIND_SIGNALED);
  EXPECT_EQ(Value(forks[2], "x"), "1");
  EXPECT_TRUE(Delete(parent).ok());
  EXPECT_EQ(Value(Fork(forks[2])[0], "x + 1"), "2");
}

TEST_F(ForkServiceTest, MakesAChainOfHundredAndHundredAtOnce) {
  std::string sandbox = Create().name();
  (void)Cell(sandbox, "depth = 0");
  for (int i = 0; i < 100; ++i) {
    const std::string fork = Fork(sandbox)[0];
    EXPECT_TRUE(Delete(sandbox).ok());
    (void)Cell(fork, "depth += 1");
    sandbox = fork;
  }
  EXPECT_EQ(Value(sandbox, "depth"), "100");
  const std::vector<std::string> forks = Fork(sandbox, 100);
  EXPECT_EQ(std::set<std::string>(forks.begin(), forks.end()).size(), 100u);
  for (size_t i = 0; i < forks.size(); i += 10) EXPECT_EQ(Value(forks[i], "depth"), "100");
}

TEST_F(ForkServiceTest, HaveLimitsAndRandomnessOfTheirOwn) {
  const std::string parent = Create().name();
  (void)Cell(parent, "import random, os\nrandom.seed(1)");
  v1::ForkSandboxRequest request;
  request.set_name(parent);
  request.set_count(2);
  request.mutable_limits()->set_memory_bytes(128 << 20);
  request.mutable_limits()->set_open_file_count(50);
  std::vector<std::string> forks;
  ASSERT_TRUE(TryFork(request, &forks).ok());
  EXPECT_NE(Value(forks[0], "random.random()"), Value(forks[1], "random.random()"));
  EXPECT_EQ(Value(forks[0], "import resource; resource.getrlimit(resource.RLIMIT_NOFILE)"),
            "(50, 50)");
  EXPECT_EQ(Cell(forks[0], "b = [bytearray(1 << 20) for _ in range(200)]").outcome().kind(),
            Outcome::KIND_MEMORY_LIMIT);
  EXPECT_EQ(Value(parent, "len(bytearray(200 << 20))"), "209715200");
}

TEST_F(ForkServiceTest, RefusesWithTheReason) {
  const std::string parent = Create().name();
  std::vector<std::string> names;
  v1::ForkSandboxRequest request;
  request.set_name(parent);
  (void)Cell(parent, "import threading\ne = threading.Event()\n"
                     "t = threading.Thread(target=e.wait, name='helper'); t.start()");
  grpc::Status status = TryFork(request, &names);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("1 thread is alive beside the main one: helper"));
  (void)Cell(parent, "e.set(); t.join()\nimport socket\ns = socket.socketpair()");
  status = TryFork(request, &names);
  EXPECT_THAT(status.error_message(), HasSubstr("socket:["));
  (void)Cell(parent, "for one in s: one.close()");
  EXPECT_TRUE(TryFork(request, &names).ok());

  request.set_count(101);
  EXPECT_EQ(TryFork(request, &names).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_count(1);
  request.set_name("sandboxes/unknown");
  EXPECT_EQ(TryFork(request, &names).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ForkServiceTest, TellsOfObstaclesWhateverTheirNamesAndNumber) {
  const std::string parent = Create().name();
  (void)Cell(parent, "import mmap, os\nx = 41\nkept = []\n"
                     "def keep(name):\n"
                     "    fd = os.open(name, os.O_RDWR | os.O_CREAT)\n"
                     "    os.write(fd, b'x' * 4096)\n"
                     "    kept.append(mmap.mmap(fd, 4096, access=mmap.ACCESS_COPY))\n"
                     "    os.close(fd)\n"
                     "keep(b'/workspace/caf\\xe9')");
  std::vector<std::string> names;
  v1::ForkSandboxRequest request;
  request.set_name(parent);
  grpc::Status status = TryFork(request, &names);
  EXPECT_EQ(Reason(status), "FORK_REFUSED");
  EXPECT_THAT(status.error_message(), HasSubstr("/workspace/caf\\xe9 (an mmap"));
  (void)Cell(parent, "for i in range(200): keep(f'/workspace/{i:03}' + 'n' * 200)");
  status = TryFork(request, &names);
  EXPECT_EQ(Reason(status), "FORK_REFUSED");
  EXPECT_LT(status.error_message().size(), 8000u);
  EXPECT_EQ(Value(parent, "x"), "41") << "an honest program keeps its sandbox";
  (void)Cell(parent, "for one in kept: one.close()\nkept.clear()");
  EXPECT_EQ(Value(Fork(parent)[0], "x + 1"), "42");
}

// What a guest that lies about standing still cannot hide from the zygote.
TEST_F(ForkServiceTest, RefusesByNameWhatTheZygoteFinds) {
  const std::string parent = Create().name();
  (void)Cell(parent, "import mmap, os\n"
                     "fd = os.open(b'/workspace/caf\\xe9', os.O_RDWR | os.O_CREAT)\n"
                     "os.write(fd, b'x' * 4096)\n"
                     "kept = mmap.mmap(fd, 4096, access=mmap.ACCESS_COPY)\n"
                     "os.close(fd)\n"
                     // A ForkPrepared of its own, without obstacles.
                     "def lie():\n"
                     "    os.write(3, bytes([2, 0, 0, 0, 12 << 3 | 2, 0]))\n"
                     "    import time; time.sleep(300)\n"
                     "os.register_at_fork(before=lie)");
  std::vector<std::string> names;
  v1::ForkSandboxRequest request;
  request.set_name(parent);
  request.set_count(5);
  const grpc::Status status = TryFork(request, &names);
  EXPECT_EQ(Reason(status), "FORK_REFUSED") << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr("memory would stay shared with the copy"));
  // Others are copied as ever.
  const std::string other = Create().name();
  (void)Cell(other, "x = 1");
  EXPECT_EQ(Value(Fork(other)[0], "x + 1"), "2");
}

TEST_F(ForkServiceTest, SurvivesAwaitsBetweenCells) {
  const std::string parent = Create().name();
  (void)Cell(parent, "import asyncio\nawait asyncio.sleep(0)\nx = 3");
  const std::string fork = Fork(parent)[0];
  EXPECT_EQ(Value(fork, "await asyncio.sleep(0, x)"), "3");
  EXPECT_EQ(Value(parent, "await asyncio.sleep(0, x)"), "3");
}

TEST_F(ForkServiceTest, AnswersARepeatedRequestWithTheSameForks) {
  const std::string parent = Create().name();
  v1::ForkSandboxRequest request;
  request.set_name(parent);
  request.set_request_id("fork-once");
  std::vector<std::string> first;
  std::vector<std::string> second;
  ASSERT_TRUE(TryFork(request, &first).ok());
  ASSERT_TRUE(TryFork(request, &second).ok());
  EXPECT_EQ(first, second);
  request.set_count(2);
  EXPECT_EQ(TryFork(request, &second).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ForkServiceTest, AnswersTheSameRequestAtTheSameTimeWithTheSameForks) {
  const std::string parent = Create().name();
  // They wait for their turn together.
  RunningCell cell(server_->executions(), parent,
                   "print('on', flush=True)\nimport time; time.sleep(0.3)");
  cell.AwaitOutput("on");
  v1::ForkSandboxRequest request;
  request.set_name(parent);
  request.set_request_id("fork-at-once");
  std::vector<std::string> first, second;
  std::thread other([&] { EXPECT_TRUE(TryFork(request, &second).ok()); });
  EXPECT_TRUE(TryFork(request, &first).ok());
  other.join();
  EXPECT_EQ(first, second);
  EXPECT_EQ(first.size(), 1u);
}

TEST_F(ForkServiceTest, SnapshotsTakeEnvironmentAndFilesAsTemplatesDo) {
  v1::CreateSandboxRequest original;
  (*original.mutable_environment())["KEPT"] = "from the parent";
  (*original.mutable_environment())["CHANGED"] = "old";
  const std::string parent = Create(original).name();
  (void)Cell(parent, "open('old', 'w').write('old'); open('over', 'w').write('old')");
  v1::Snapshot snapshot;
  ASSERT_TRUE(TrySnapshot(parent, &snapshot).ok());
  v1::CreateSandboxRequest request;
  request.set_snapshot(snapshot.name());
  (*request.mutable_environment())["CHANGED"] = "new";
  for (const char* path : {"over", "sub/new"}) {
    v1::File& file = *request.add_files();
    file.set_path(path);
    file.set_content("new");
  }
  const v1::Sandbox made = Create(request);
  EXPECT_EQ(made.execution_count(), 0);
  EXPECT_EQ(Value(made.name(), "import os; os.environ['KEPT'], os.environ['CHANGED']"),
            "('from the parent', 'new')");
  EXPECT_EQ(Value(made.name(), "[open(p).read() for p in ('old', 'over', 'sub/new')]"),
            "['old', 'new', 'new']");
  (void)Restart(made.name());
  EXPECT_EQ(Value(made.name(), "import os; os.environ['CHANGED'], open('over').read()"), "('new', 'old')")
      << "the environment stays, files have to be sent again";

  request.mutable_limits()->set_workspace_bytes(1 << 20);
  for (int i = 0; i < 200; ++i) {
    v1::File& file = *request.add_files();
    file.set_path("d" + std::to_string(i) + "/f");
    file.set_content(std::string(5000, 'x'));
  }
  v1::Sandbox none;
  EXPECT_EQ(Reason(TryCreate(request, &none)), "WORKSPACE_FULL");
  v1::DeleteSnapshotRequest remove;
  remove.set_name(snapshot.name());
  v1::DeleteSnapshotResponse removed;
  EXPECT_TRUE(server_->sandboxes().DeleteSnapshot(Context().get(), remove, &removed).ok());
}

TEST_F(ForkServiceTest, SnapshotsAreSourcesThatOutliveTheirSandbox) {
  const std::string parent = Create().name();
  (void)Cell(parent, "x = 'frozen'\nopen('f', 'w').write('file')\n"
                     "heap = bytearray(b'x' * (20 << 20))");
  v1::Snapshot snapshot;
  const grpc::Status status = TrySnapshot(parent, &snapshot);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_GE(snapshot.memory_bytes(), 19 << 20);
  EXPECT_LT(snapshot.memory_bytes(), 60 << 20);
  (void)Cell(parent, "x = 'later'");
  EXPECT_TRUE(Delete(parent).ok());
  for (int i = 0; i < 2; ++i) {
    v1::CreateSandboxRequest request;
    request.set_snapshot(snapshot.name());
    const v1::Sandbox made = Create(request);
    EXPECT_EQ(made.snapshot(), snapshot.name());
    EXPECT_EQ(Value(made.name(), "old, x = x, 'mine'; (old, open('f').read())"),
              "('frozen', 'file')");
    // From the snapshot again.
    EXPECT_EQ(Cell(made.name(), "import os; os._exit(1)").outcome().kind(), Outcome::KIND_EXITED);
    (void)Restart(made.name());
    EXPECT_EQ(Value(made.name(), "x"), "'frozen'");
  }
  v1::ListSnapshotsResponse list;
  ASSERT_TRUE(server_->sandboxes().ListSnapshots(Context().get(), {}, &list).ok());
  EXPECT_EQ(list.snapshots_size(), 1);
  v1::DeleteSnapshotRequest remove;
  remove.set_name(snapshot.name());
  v1::DeleteSnapshotResponse removed;
  EXPECT_TRUE(server_->sandboxes().DeleteSnapshot(Context().get(), remove, &removed).ok());
  EXPECT_EQ(server_->sandboxes().DeleteSnapshot(Context().get(), remove, &removed).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace cloister::testing
