// Clones of Python objects, in every image's Python: each file of clone/ is a program whose test_
// functions are called.

#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "sandbox/clone/check.h"
#include "tests/unit/sandbox_guest/guest_test.h"
#include "tests/unit/sandbox_guest/interpreters_test.h"

namespace cloister::sandbox {
namespace {

std::string ReadSource(const std::string& name) {
  std::ifstream file(std::string(GUEST_TEST_SOURCES) + "/clone/" + name + ".py");
  EXPECT_TRUE(file.good()) << name;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Program(const std::string& name) {
  return ReadSource("support") + ReadSource(name) + "\nrun_tests()\n";
}

class CloneTest : public GuestTest {};

class CloneFileTest : public CloneTest, public testing::WithParamInterface<const char*> {};

TEST_P(CloneFileTest, Passes) {
  const GuestRun run = Run(Program(GetParam()));
  ExpectSucceeded(run);
  EXPECT_THAT(run.output, testing::EndsWith("passed\n")) << run.error;
}

INSTANTIATE_TEST_SUITE_P(Clone, CloneFileTest,
                         testing::Values("values", "containers", "stdlib", "records", "exceptions",
                                         "hostile", "damaged", "property"),
                         [](const auto& info) { return std::string(info.param); });

// The checker that hosts use knows no Python; it has its own opinion of what the encoder writes.
TEST_F(CloneTest, WritesWhatTheCheckerTakes) {
  for (const char* name : {"samples", "property"}) {
    const GuestRun run = Run(Program(name));
    ExpectSucceeded(run);
    std::istringstream lines(run.output);
    std::string line;
    int count = 0;
    while (std::getline(lines, line) && !absl::EndsWith(line, "passed")) {
      const size_t space = line.find(' ');
      const std::string clone = absl::HexStringToBytes(line.substr(0, space));
      const absl::Status status = CheckClone(clone, {}, CloneBuffers::kInline).status();
      EXPECT_TRUE(status.ok()) << status << " of " << line.substr(space);
      ++count;
    }
    EXPECT_GT(count, 100);
  }
}

// What is known of types is each interpreter's own.
class CloneInInterpretersTest : public FurtherInterpreterTest {
 protected:
  void RunIn(SessionClient& interpreter) {
    for (const char* name : {"stdlib", "records", "exceptions"}) {
      const SessionAnswer answer = interpreter.Execute(Program(name));
      EXPECT_EQ(answer.finished().kind(), internal::v1::Finished::KIND_SUCCEEDED)
          << answer.finished().exception().traceback();
      EXPECT_THAT(answer.output, testing::EndsWith("passed\n"));
    }
  }
};

TEST_F(CloneInInterpretersTest, WorksInIsolatedOnes) {
  const auto one = process().Create();
  const auto two = process().Create();
  RunIn(*one);
  RunIn(*two);
  one->End();
  RunIn(*two);
}

TEST_F(CloneInInterpretersTest, WorksInThoseThatShareAGil) {
  const auto one = process().Create(process().Request(internal::v1::GIL_PROFILE_SHARED_GIL));
  RunIn(*one);
}

}  // namespace
}  // namespace cloister::sandbox
