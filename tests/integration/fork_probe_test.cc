// Every hostile program inside forks and forks of forks: the same exact outcome as in a fresh sandbox,
// no escape, and a parent that notices nothing.

#include <string>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/integration/fork_test_base.h"
#include "tests/integration/probe.h"

namespace cloister::testing {
namespace {

enum class Depth { kFork, kForkOfFork };

class ForkProbeTest : public ForkTest,
                      public ::testing::WithParamInterface<std::tuple<Probe, Depth>> {
 protected:
  static void TearDownTestSuite() {
    parent_.clear();
    fork_.clear();
    ForkTest::TearDownTestSuite();
  }

  // Both live through all tests.
  void SetUp() override {
    if (parent_.empty()) {
      parent_ = Create().name();
      (void)Cell(parent_, kMark);
      fork_ = Fork(parent_)[0];
      made_.clear();
    }
  }

  // What a sandbox has for its whole life, and what only a cell has.
  static v1::Limits OfSandbox(const v1::Limits& limits) {
    v1::Limits sandbox = limits;
    sandbox.clear_wall_time();
    sandbox.clear_cpu_time();
    sandbox.clear_output_bytes();
    return sandbox;
  }
  static v1::Limits OfCell(const v1::Limits& limits) {
    v1::Limits cell;
    if (limits.has_wall_time()) *cell.mutable_wall_time() = limits.wall_time();
    if (limits.has_cpu_time()) *cell.mutable_cpu_time() = limits.cpu_time();
    if (limits.has_output_bytes()) cell.set_output_bytes(limits.output_bytes());
    return cell;
  }

  static constexpr char kMark[] = "mark = 42; open('mark', 'w').write('42')";
  static inline std::string parent_;
  static inline std::string fork_;
};

TEST_P(ForkProbeTest, EndsAsInAFreshSandboxAndItsFamilyGoesOn) {
  const auto& [probe, depth] = GetParam();
  const std::string& from = depth == Depth::kFork ? parent_ : fork_;
  const std::string sandbox = Fork(from, 1, OfSandbox(probe.limits))[0];
  v1::RunCodeRequest request;
  request.set_interpreter(sandbox);
  request.mutable_program()->set_code(probe.code);
  *request.mutable_limits() = OfCell(probe.limits);
  const v1::RunCodeResponse response = Run(request);
  EXPECT_EQ(Describe(response.outcome()), ExpectedAsCell(probe))
      << response.outcome().detail() << "\nstdout: " << response.stdout().substr(0, 2000)
      << "\nstderr: " << response.stderr().substr(0, 2000);
  EXPECT_FALSE(absl::StrContains(response.stdout(), "ESCAPED")) << response.stdout();
  const auto& output = probe.stdout_as_cell ? probe.stdout_as_cell : probe.stdout_text;
  if (output) EXPECT_EQ(response.stdout(), *output);
  for (const std::string& relative : {parent_, fork_}) {
    EXPECT_EQ(Value(relative, "import os; mark, open('mark').read(), os.listdir()"),
              "(42, '42', ['mark'])");
  }
}

INSTANTIATE_TEST_SUITE_P(AllLayers, ForkProbeTest,
                         ::testing::Combine(::testing::ValuesIn(LoadProbes(CLOISTER_PROBES)),
                                            ::testing::Values(Depth::kFork, Depth::kForkOfFork)),
                         [](const auto& info) {
                           return absl::StrCat(std::get<0>(info.param).name,
                                               std::get<1>(info.param) == Depth::kFork
                                                   ? "_in_fork"
                                                   : "_in_fork_of_fork");
                         });

}  // namespace
}  // namespace cloister::testing
