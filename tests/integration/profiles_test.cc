// What tells the profiles of further interpreters apart, with real sandboxes.

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/interpreters_fixture.h"

namespace cloister::testing {
namespace {

using ::testing::HasSubstr;

using ProfilesTest = InterpretersTest;

TEST_F(ProfilesTest, RunsOutOfMemoryAlone) {
  Open();
  Interpreter& one = Add();
  Run(*sandbox_, "x = 1");
  const Outcome outcome =
      Run(one, "held = []\nwhile True: held.append(bytearray(b'x') * (8 << 20))");
  // An allocation that fails raises first where the limit on the process comes before the cgroup's.
  EXPECT_THAT(Describe(outcome), ::testing::AnyOf("MEMORY_LIMIT", "RAISED MemoryError"));
  EXPECT_EQ(Value(*sandbox_, "x"), "1");
}

TEST_F(ProfilesTest, StandsInTheWayOfAForkWhileItLives) {
  Open("python3.14", /*forkable=*/true);
  Interpreter& one = Add();
  absl::Status status;
  std::vector<std::unique_ptr<Sandbox>> copies;
  const auto fork = [&] {
    bool done = false;
    sandbox::ForkSpec spec;
    spec.limits = limits_;
    sandbox_->Fork(spec, [&](auto forks) {
      status = forks.status();
      if (forks.ok()) copies = *std::move(forks);
      done = true;
    });
    return Await([&] { return done; });
  };
  ASSERT_TRUE(fork());
  EXPECT_EQ(status, absl::FailedPreconditionError("a process interpreter is alive"));
  EXPECT_TRUE(End(one).ok());
  interpreters_.clear();
  Run(*sandbox_, "x = 5");
  ASSERT_TRUE(fork());
  ASSERT_TRUE(status.ok()) << status;
  // A copy can have some of its own.
  Session observer, session;
  copies[0]->ResumeSession(&observer);
  EXPECT_EQ(Value(*copies[0], "x"), "5");
  sandbox_ = std::move(copies[0]);
  CreatedInterpreter created = Create({.profile = InterpreterProfile::kProcess}, &session);
  ASSERT_TRUE(created.status.ok()) << created.status;
  EXPECT_EQ(Value(*created.interpreter, "2 + 2"), "4");
}

TEST_F(ProfilesTest, OneThatIsKilledTakesTheOthersOfItsProcess) {
  Open();
  Interpreter& one = Add(InterpreterProfile::kIsolated);
  (void)Add(InterpreterProfile::kSharedGil);
  Interpreter& apart = Add(InterpreterProfile::kProcess);
  Cell cell;
  Begin(one, "print('in', flush=True); sum(range(10**13))", &cell);
  ASSERT_TRUE(Await([&] { return cell.output == "in\n"; }));
  one.Interrupt(absl::Milliseconds(300));
  EXPECT_EQ(Describe(AwaitEnd(cell)), "INTERRUPTED");
  Session& beside = *std::next(sessions_.begin());
  ASSERT_TRUE(AwaitLoss(beside));
  EXPECT_THAT(beside.lost->detail(), HasSubstr("another interpreter in it"));
  EXPECT_EQ(Value(apart, "1"), "1");
  EXPECT_EQ(Value(*sandbox_, "1"), "1");
  EXPECT_EQ(Value(Add(InterpreterProfile::kIsolated), "2"), "2");
}

// Without namespaces and inits: processes of a sandbox share its directory.
class ContainerProfilesTest : public InterpretersTest {
 protected:
  static constexpr unsigned int kNobody = 65534;

  void SetUp() override {
    ASSERT_NE(mkdtemp(directory_.data()), nullptr);
    ASSERT_EQ(chown(directory_.c_str(), kNobody, kNobody), 0);
    setenv("TMPDIR", directory_.c_str(), 1);
    Start(ORDINARY_CONTAINER, {CLOISTER_SPAWNER_BINARY});
  }
  void TearDown() override {
    InterpretersTest::TearDown();
    process_.reset();
    unsetenv("TMPDIR");
    std::filesystem::remove_all(directory_);
  }

 private:
  std::string directory_ = "/tmp/cloister-profiles-test-XXXXXX";
};

TEST_F(ContainerProfilesTest, ShareASandboxInAnOrdinaryContainer) {
  Open();
  Run(*sandbox_, "open('f', 'w').write('by main')");
  for (InterpreterProfile profile : {InterpreterProfile::kProcess, InterpreterProfile::kIsolated}) {
    EXPECT_EQ(Value(Add(profile), "open('f').read()"), "'by main'");
  }
  Cell cell;
  Begin(*interpreters_.front(), "print('in', flush=True)\nimport time; time.sleep(60)", &cell);
  ASSERT_TRUE(Await([&] { return cell.output == "in\n"; }));
  (void)Run(*sandbox_, "import os; os._exit(3)");
  EXPECT_EQ(Describe(AwaitEnd(cell)), "INTERPRETER_LOST");
}

TEST_F(ProfilesTest, IsolatedOnesAreRefusedOn313) {
  Open("python3.13");
  Session session;
  EXPECT_EQ(Create({.profile = InterpreterProfile::kIsolated}, &session).status.code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_EQ(Value(Add(InterpreterProfile::kProcess), "2"), "2");
}

}  // namespace
}  // namespace cloister::testing
