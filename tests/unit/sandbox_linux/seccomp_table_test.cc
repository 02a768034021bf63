// The table itself: complete, without contradictions, every refusal with a reason.

#include "sandbox/linux/seccomp_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <seccomp.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace cloister::sandbox {
namespace {

constexpr int kHighestNumber = 1023;

bool Applies(AppliesTo applies_to, bool allow_subprocesses) {
  return applies_to == AppliesTo::kAll ||
         (applies_to == AppliesTo::kSubprocesses) == allow_subprocesses;
}

class SeccompTableTest : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Options, SeccompTableTest, ::testing::Bool(), [](const auto& info) {
  return info.param ? "Subprocesses" : "ThreadsOnly";
});

TEST_P(SeccompTableTest, NamesEachCallOnce) {
  std::set<std::string_view> seen;
  for (const SyscallGroup& group : SyscallGroups()) {
    if (!Applies(group.applies_to, GetParam())) continue;
    for (const std::string_view name : NamesOf(group)) {
      EXPECT_TRUE(seen.insert(name).second) << name << " is in two groups";
    }
  }
}

TEST_P(SeccompTableTest, CoversEveryCallThatLibseccompCanName) {
  std::set<int> covered;
  for (const SyscallGroup& group : SyscallGroups()) {
    if (!Applies(group.applies_to, GetParam())) continue;
    for (const std::string_view name : NamesOf(group)) covered.insert(SyscallNumber(name));
  }
  for (int number = 0; number <= kHighestNumber; ++number) {
    const std::unique_ptr<char, decltype(&std::free)> name(
        seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number), &std::free);
    if (name == nullptr) continue;
    EXPECT_TRUE(covered.contains(number)) << name.get() << " (" << number << ") is in no group";
  }
}

TEST(SeccompTable, KnowsTheNumberOfEveryName) {
  std::map<int, std::string_view> names;
  for (const SyscallGroup& group : SyscallGroups()) {
    for (const std::string_view name : NamesOf(group)) {
      ASSERT_FALSE(name.empty()) << "a doubled space in the group: " << group.reason;
      const int number = SyscallNumber(name);
      EXPECT_GE(number, 0) << name;
      const auto [other, inserted] = names.emplace(number, name);
      EXPECT_TRUE(inserted || other->second == name) << name << " and " << other->second;
    }
  }
}

TEST(SeccompTable, NumbersOfNewerCallsAgreeWithLibseccomp) {
  for (const SyscallGroup& group : SyscallGroups()) {
    for (const std::string_view name : NamesOf(group)) {
      const int known = seccomp_syscall_resolve_name(std::string(name).c_str());
      if (known >= 0) {
        EXPECT_EQ(SyscallNumber(name), known) << name;
      }
    }
  }
}

TEST(SeccompTable, GivesAReasonForEverything) {
  for (const SyscallGroup& group : SyscallGroups())
    EXPECT_FALSE(group.reason.empty()) << group.names;
  for (const ArgumentRule& rule : ArgumentRules()) EXPECT_FALSE(rule.reason.empty()) << rule.name;
}

TEST(SeccompTable, GivesAnErrnoExactlyWhereItRefusesWithOne) {
  for (const SyscallGroup& group : SyscallGroups()) {
    if (group.verdict == Verdict::kByArgument) continue;  // it may have one for what rules leave open
    EXPECT_EQ(group.error_number != 0, group.verdict == Verdict::kErrno) << group.names;
  }
  for (const ArgumentRule& rule : ArgumentRules()) {
    EXPECT_EQ(rule.error_number != 0, rule.verdict == Verdict::kErrno) << rule.name;
  }
}

TEST_P(SeccompTableTest, HasRulesExactlyForWhatAnArgumentDecides) {
  std::set<std::string_view> by_argument;
  for (const SyscallGroup& group : SyscallGroups()) {
    if (group.verdict != Verdict::kByArgument || !Applies(group.applies_to, GetParam())) continue;
    for (const std::string_view name : NamesOf(group)) by_argument.insert(name);
  }
  std::set<std::string_view> with_rules;
  for (const ArgumentRule& rule : ArgumentRules()) {
    if (Applies(rule.applies_to, GetParam())) with_rules.insert(rule.name);
  }
  EXPECT_EQ(by_argument, with_rules);
}

// Two rules that could both match would leave the answer to libseccomp's order.
TEST_P(SeccompTableTest, RulesOfOneCallThatDisagreeCannotMatchTheSameValue) {
  const auto rules = ArgumentRules();
  for (size_t i = 0; i < rules.size(); ++i) {
    for (size_t j = i + 1; j < rules.size(); ++j) {
      const ArgumentRule &a = rules[i], &b = rules[j];
      if (a.name != b.name || a.verdict == b.verdict) continue;
      if (!Applies(a.applies_to, GetParam()) || !Applies(b.applies_to, GetParam())) continue;
      ASSERT_EQ(a.argument, b.argument) << a.name;
      using enum ArgumentRule::Comparison;
      if (a.comparison == kMaskedEqual && b.comparison == kMaskedEqual) {
        EXPECT_NE(a.value & b.mask & a.mask, b.value & a.mask & b.mask) << a.name;
      } else {
        EXPECT_EQ(std::set({a.comparison, b.comparison}), std::set({kEqual, kNotEqual})) << a.name;
        EXPECT_EQ(a.value, b.value) << a.name;
      }
    }
  }
}

}  // namespace
}  // namespace cloister::sandbox
