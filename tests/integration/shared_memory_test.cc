// Memory and locks that interpreters of a live sandbox share, in every profile, behind all walls.

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/integration/live_test.h"

namespace cloister::testing {
namespace {

class SharedMemoryTest : public LiveTest,
                         public ::testing::WithParamInterface<v1::Interpreter::Profile> {
 protected:
  void SetUp() override {
    sandbox_ = Create().name();
    v1::CreateInterpreterRequest request;
    request.set_sandbox(sandbox_);
    request.set_interpreter_id("peer");
    request.set_profile(GetParam());
    v1::CreateInterpreterResponse response;
    const grpc::Status status =
        server_->interpreters().CreateInterpreter(Context().get(), request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    peer_ = response.interpreter().name();
  }

  std::string sandbox_;
  std::string peer_;
};

INSTANTIATE_TEST_SUITE_P(Profiles, SharedMemoryTest,
                         ::testing::Values(v1::Interpreter::PROFILE_PROCESS,
                                           v1::Interpreter::PROFILE_ISOLATED,
                                           v1::Interpreter::PROFILE_SHARED_GIL));

TEST_P(SharedMemoryTest, IsTheSameOnBothSides) {
  EXPECT_EQ(Value(sandbox_,
                  "import cloister\n"
                  "buffer, lock = cloister.SharedBuffer(1 << 20), cloister.Lock()\n"
                  "condition, semaphore = cloister.Condition(), cloister.Semaphore(0)\n"
                  "given = cloister.SharedBuffer(8)\n"
                  "view = memoryview(buffer)\n"
                  "view[1000] = 7\n"
                  "lock.acquire()\n"
                  "cloister.post((buffer, lock, condition, semaphore), to='peer')\n"
                  "cloister.post(given, to='peer', transfer=[given])\n"
                  "given.closed"),
            "True");
  EXPECT_EQ(Value(peer_,
                  "import cloister\n"
                  "buffer, lock, condition, semaphore = cloister.inbox.get(timeout=20)\n"
                  "given = cloister.inbox.get(timeout=20)\n"
                  "view = memoryview(buffer)\n"
                  "view[2000] = 8\n"
                  "semaphore.release()\n"
                  "view[1000], given.size, lock.acquire(False), buffer.atomic_add(0, 5)"),
            "(7, 8, False, 0)");
  EXPECT_EQ(
      Value(sandbox_, "lock.release()\nview[2000], semaphore.acquire(), buffer.atomic_load(0)"),
      "(8, True, 5)");
}

TEST_P(SharedMemoryTest, WaitsForTheOtherSide) {
  EXPECT_EQ(Value(sandbox_,
                  "import cloister\n"
                  "buffer, condition = cloister.SharedBuffer(8), cloister.Condition()\n"
                  "cloister.post((buffer, condition), to='peer')"),
            "");
  RunningCell cell(server_->executions(), peer_,
                   "import cloister\n"
                   "buffer, condition = cloister.inbox.get(timeout=20)\n"
                   "print('waits', flush=True)\n"
                   "with condition: condition.wait_for(lambda: buffer.atomic_load(0) == 3)\n"
                   "print('woken')\n");
  cell.AwaitOutput("waits");
  EXPECT_EQ(Value(sandbox_,
                  "for _ in range(3):\n"
                  "    with condition:\n"
                  "        before = buffer.atomic_add(0, 1)\n"
                  "        condition.notify_all()\n"
                  "before"),
            "2");
  cell.AwaitOutput("woken");
  EXPECT_EQ(cell.AwaitEnd().kind(), v1::Outcome::KIND_SUCCEEDED);
}

TEST_P(SharedMemoryTest, InterruptsEndWaits) {
  for (const char* wait : {"lock.acquire()", "buffer.atomic_wait(0, 0)", "semaphore.acquire()"}) {
    EXPECT_EQ(Value(sandbox_,
                    "import cloister\n"
                    "lock = cloister.Lock()\n"
                    "lock.acquire()\n"
                    "cloister.post(lock, to='peer')"),
              "");
    RunningCell cell(
        server_->executions(), peer_,
        absl::StrCat("import cloister\n"
                     "lock, buffer = cloister.inbox.get(timeout=20), cloister.SharedBuffer(8)\n"
                     "semaphore = cloister.Semaphore(0)\n"
                     "print('waits', flush=True)\n",
                     wait));
    cell.AwaitOutput("waits");
    (void)Interrupt(peer_);
    EXPECT_EQ(cell.AwaitEnd().kind(), v1::Outcome::KIND_INTERRUPTED) << wait;
  }
}

// Whoever has a lock ends with its interpreter: killed, where that is a process.
TEST_P(SharedMemoryTest, LocksOutliveTheirHolders) {
  Value(sandbox_, "import cloister\nlock = cloister.Lock()\ncloister.post(lock, to='peer')");
  EXPECT_EQ(Value(peer_, "import cloister\nlock = cloister.inbox.get(timeout=20)\nlock.acquire()"),
            "True");
  EXPECT_EQ(Value(sandbox_, "lock.acquire(False)"), "False");
  v1::DeleteInterpreterRequest request;
  request.set_name(peer_);
  v1::DeleteInterpreterResponse response;
  const grpc::Status status =
      server_->interpreters().DeleteInterpreter(Context().get(), request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(Value(sandbox_, "lock.acquire(timeout=30), lock.owner_died"), "(True, True)");
}

}  // namespace
}  // namespace cloister::testing
