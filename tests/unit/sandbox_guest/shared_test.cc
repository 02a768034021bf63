// Shared memory, atomics and locks, in every image's Python: each file of shared/ is a program
// whose test_ functions are called.

#include <fstream>
#include <sstream>
#include <string>

#include "tests/unit/sandbox_guest/guest_session.h"
#include "tests/unit/sandbox_guest/guest_test.h"
#include "tests/unit/sandbox_guest/interpreters_test.h"

namespace cloister::sandbox {
namespace {

using internal::v1::Finished;

std::string ReadSource(const std::string& name) {
  std::ifstream file(std::string(GUEST_TEST_SOURCES) + "/shared/" + name + ".py");
  EXPECT_TRUE(file.good()) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Program(const std::string& name) {
  return ReadSource("support") + ReadSource(name) + "\nrun_tests()\n";
}

class SharedTest : public GuestTest {};

class SharedFileTest : public SharedTest, public testing::WithParamInterface<const char*> {};

TEST_P(SharedFileTest, Passes) {
  const GuestRun run = Run(Program(GetParam()));
  ExpectSucceeded(run);
  EXPECT_THAT(run.output, testing::EndsWith("passed\n")) << run.error;
}

INSTANTIATE_TEST_SUITE_P(Shared, SharedFileTest,
                         testing::Values("buffers", "files", "handles", "atomics", "locks",
                                         "conditions"),
                         [](const auto& info) { return std::string(info.param); });

// Nothing of it is made for programs that only have the module.
TEST_F(SharedTest, IsMadeWhenItIsNeeded) {
  const GuestRun run =
      Run("import cloister\n"
          "assert 'SharedBuffer' not in vars(cloister) and 'SharedBuffer' in dir(cloister)\n"
          "assert {'Lock', 'Condition', 'Semaphore'} <= set(cloister.__all__)\n"
          "cloister.Lock\n"
          "assert 'Lock' in vars(cloister)\n"
          "try:\n"
          "    cloister.Barrier\n"
          "except AttributeError as error:\n"
          "    print(error)\n");
  ExpectSucceeded(run);
  EXPECT_EQ(run.output, "module 'cloister' has no attribute 'Barrier'\n");
}

class SharedInInterpretersTest : public FurtherInterpreterTest {
 protected:
  void RunIn(SessionClient& interpreter, const std::string& name) {
    const SessionAnswer answer = interpreter.Execute(Program(name));
    EXPECT_EQ(answer.finished().kind(), Finished::KIND_SUCCEEDED)
        << answer.finished().exception().traceback();
    EXPECT_THAT(answer.output, testing::EndsWith("passed\n"));
  }

  // Runs the code, which must write something before it waits for ever, and interrupts it.
  static void ExpectInterrupted(GuestInterpreter& interpreter, const std::string& code) {
    const SessionAnswer answer = interpreter.ExecuteAndInterrupt(code);
    EXPECT_EQ(answer.finished().kind(), Finished::KIND_RAISED) << code;
    EXPECT_EQ(answer.finished().exception().type(), "KeyboardInterrupt") << code;
  }
};

// What forks is left out: in a process with further interpreters that is refused.
TEST_F(SharedInInterpretersTest, WorksInIsolatedOnes) {
  const auto one = process().Create();
  const auto two = process().Create();
  RunIn(*one, "buffers");
  RunIn(*two, "handles");
  one->End();
  RunIn(*two, "buffers");
}

TEST_F(SharedInInterpretersTest, WorksInThoseThatShareAGil) {
  const auto one = process().Create(process().Request(internal::v1::GIL_PROFILE_SHARED_GIL));
  RunIn(*one, "buffers");
  RunIn(*one, "handles");
}

// Two interpreters of a process, which find one another's descriptors by their numbers.
TEST_F(SharedInInterpretersTest, IsSharedBetweenThem) {
  const auto one = process().Create();
  const auto two = process().Create();
  const std::string sent = ValueOf(
      *one,
      "import cloister\n"
      "buffer, lock, condition = cloister.SharedBuffer(16), cloister.Lock(), cloister.Condition()\n"
      "lock.acquire()\n"
      "cloister._encode_handles([buffer, lock, condition])");
  EXPECT_EQ(ValueOf(*two,
                    "import cloister\n"
                    "buffer, lock, condition = cloister._decode_handles(*" +
                        sent +
                        ")\n"
                        "memoryview(buffer)[3] = 9\n"
                        "lock.acquire(False), lock.acquire(timeout=0.01), lock.locked()"),
            "(False, False, True)");
  EXPECT_EQ(ValueOf(*one, "memoryview(buffer)[3], buffer.atomic_add(8, 5)"), "(9, 0)");
  EXPECT_EQ(ValueOf(*one, "lock.release()\nlock.locked()"), "False");
  EXPECT_EQ(ValueOf(*two, "lock.acquire(), lock.owner_died, buffer.atomic_load(8)"),
            "(True, False, 5)");
  // Its thread ends with the interpreter, and the lock is told to have lost its holder.
  two->End();
  EXPECT_EQ(ValueOf(*one, "lock.acquire(timeout=30), lock.owner_died"), "(True, True)");
}

TEST_F(SharedInInterpretersTest, InterruptsEndWaits) {
  for (const auto profile :
       {internal::v1::GIL_PROFILE_ISOLATED, internal::v1::GIL_PROFILE_SHARED_GIL}) {
    const auto holder = process().Create();
    const auto one = process().Create(process().Request(profile));
    const std::string sent = ValueOf(*holder,
                                     "import cloister\n"
                                     "lock, condition = cloister.Lock(), cloister.Condition()\n"
                                     "lock.acquire()\n"
                                     "cloister._encode_handles([lock, condition])");
    ValueOf(*one,
            "import cloister\n"
            "lock, condition = cloister._decode_handles(*" +
                sent +
                ")\n"
                "buffer, semaphore = cloister.SharedBuffer(8), cloister.Semaphore(0)");
    ExpectInterrupted(*one, "print('waits')\nbuffer.atomic_wait(0, 0)");
    ExpectInterrupted(*one, "print('waits')\nlock.acquire()");
    ExpectInterrupted(*one, "print('waits')\nlock.acquire(timeout=600)");
    ExpectInterrupted(*one, "print('waits')\nsemaphore.acquire()");
    ExpectInterrupted(*one, "print('waits')\nwith condition: condition.wait()");
    EXPECT_EQ(ValueOf(*one, "condition.locked(), lock.acquire(False)"), "(False, False)");
    one->End();
    holder->End();
  }
}

// The one who makes it pays, or who is handed it.
TEST_F(SharedInInterpretersTest, IsChargedToItsOwner) {
  const auto make = [this] {
    internal::v1::CreateInterpreter request = process().Request();
    request.set_memory_bytes(int64_t{64} << 20);
    return process().Create(request);
  };
  const auto one = make();
  const auto two = make();
  EXPECT_EQ(ValueOf(*one,
                    "import cloister\n"
                    "for _ in range(20):\n"
                    "    cloister.SharedBuffer(40 << 20).close()\n"
                    "kept = cloister.SharedBuffer(40 << 20)\n"
                    "try:\n"
                    "    cloister.SharedBuffer(40 << 20)\n"
                    "except MemoryError:\n"
                    "    refused = True\n"
                    "refused"),
            "True");
  const std::string shown = ValueOf(*one, "cloister._encode_handles(kept)");
  EXPECT_EQ(ValueOf(*two,
                    "import cloister\n"
                    "shown = cloister._decode_handles(*" +
                        shown +
                        ")\n"
                        "own = cloister.SharedBuffer(40 << 20)\n"
                        "own.close()\n"
                        "own = None"),
            "");
  const std::string given = ValueOf(*one, "cloister._encode_handles(kept, [kept])");
  EXPECT_EQ(ValueOf(*one, "cloister.SharedBuffer(40 << 20).size"), "41943040");
  EXPECT_EQ(ValueOf(*two, "given = cloister._decode_handles(*" + given +
                              ")\n"
                              "try:\n"
                              "    cloister.SharedBuffer(40 << 20)\n"
                              "except MemoryError:\n"
                              "    refused = True\n"
                              "refused"),
            "True");
}

}  // namespace
}  // namespace cloister::sandbox
