// Relatives that attack each other: fork and parent, siblings, fork of fork and grandparent. See
// tests/probes/family/README.md.

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "tests/integration/fork_test_base.h"
#include "tests/integration/probe.h"

namespace cloister::testing {
namespace {

using ::testing::HasSubstr;

struct FamilyProbe {
  Probe probe;
  std::string past, victim, attack, check;
  std::string control;  // empty: none
};

FamilyProbe Parse(Probe probe) {
  FamilyProbe family;
  std::map<std::string, std::string*> parts = {{"past", &family.past},
                                               {"victim", &family.victim},
                                               {"attack", &family.attack},
                                               {"check", &family.check}};
  std::string* part = nullptr;
  for (const absl::string_view line : absl::StrSplit(probe.code, '\n')) {
    absl::string_view rest = line;
    if (absl::ConsumePrefix(&rest, "# ---- ")) {
      part = parts.at(std::string(rest));
    } else if (part != nullptr) {
      absl::StrAppend(part, line, "\n");
    } else if (absl::ConsumePrefix(&rest, "# control: ")) {
      family.control = std::string(rest);
    }
  }
  family.probe = std::move(probe);
  return family;
}

std::vector<FamilyProbe> LoadFamilyProbes() {
  std::vector<FamilyProbe> probes;
  for (Probe& probe : LoadProbes(absl::StrCat(CLOISTER_PROBES, "/family"))) {
    probes.push_back(Parse(std::move(probe)));
  }
  return probes;
}

void PrintTo(const FamilyProbe& family, std::ostream* out) { *out << family.probe.name; }

enum class Relation { kForkToParent, kParentToFork, kSiblings, kForkOfForkToGrandparent };
constexpr const char* kRelationNames[] = {"fork_to_parent", "parent_to_fork", "siblings",
                                          "to_grandparent"};

class FamilyTest : public ForkTest {
 protected:
  // Runs one part that has to succeed; what it wrote.
  std::string Part(const std::string& sandbox, const std::string& code) {
    const v1::RunCodeResponse response = Cell(sandbox, code);
    EXPECT_EQ(Describe(response.outcome()), "SUCCEEDED") << response.stderr();
    return response.stdout();
  }
  v1::RunCodeResponse Attack(const std::string& sandbox, const FamilyProbe& family) {
    v1::RunCodeRequest request = CellRequest(sandbox, family.attack);
    *request.mutable_limits() = family.probe.limits;
    return Run(request);
  }
};

class FamilyProbeTest : public FamilyTest,
                        public ::testing::WithParamInterface<std::tuple<FamilyProbe, Relation>> {
 protected:
  // Attacker and victim.
  std::pair<std::string, std::string> Relatives(const std::string& parent, Relation relation) {
    switch (relation) {
      case Relation::kForkToParent:
        return {Fork(parent)[0], parent};
      case Relation::kParentToFork:
        return {parent, Fork(parent)[0]};
      case Relation::kForkOfForkToGrandparent:
        return {Fork(Fork(parent)[0])[0], parent};
      case Relation::kSiblings:
        break;
    }
    const std::vector<std::string> forks = Fork(parent, 2);
    return {forks[0], forks[1]};
  }
};

TEST_P(FamilyProbeTest, AttacksInVain) {
  const auto& [family, relation] = GetParam();
  const std::string parent = Create().name();
  (void)Part(parent, family.past);
  const auto [attacker, victim] = Relatives(parent, relation);
  (void)Part(victim, family.victim);
  const v1::RunCodeResponse response = Attack(attacker, family);
  EXPECT_EQ(Describe(response.outcome()), Expected(family.probe))
      << response.outcome().detail() << "\nstderr: " << response.stderr();
  EXPECT_EQ(response.stdout(), family.probe.stdout_text.value_or(""));
  EXPECT_EQ(Part(victim, family.check), "unharmed\n");
}

INSTANTIATE_TEST_SUITE_P(All, FamilyProbeTest,
                         ::testing::Combine(::testing::ValuesIn(LoadFamilyProbes()),
                                            ::testing::Values(Relation::kForkToParent,
                                                              Relation::kParentToFork,
                                                              Relation::kSiblings,
                                                              Relation::kForkOfForkToGrandparent)),
                         [](const auto& info) {
                           return absl::StrCat(
                               std::get<0>(info.param).probe.name, "_",
                               kRelationNames[static_cast<int>(std::get<1>(info.param))]);
                         });

TEST_F(FamilyTest, TheAttacksWorkWhereNothingIsInBetween) {
  int count = 0;
  for (const FamilyProbe& family : LoadFamilyProbes()) {
    if (family.control.empty()) continue;
    SCOPED_TRACE(family.probe.name);
    const std::string sandbox = Create().name();
    std::string seen;
    for (const std::string& part : {family.past, family.victim, family.attack, family.check}) {
      seen += Cell(sandbox, part).stdout();
    }
    EXPECT_THAT(seen, HasSubstr(family.control));
    ++count;
  }
  EXPECT_GE(count, 10);
}

TEST_F(FamilyTest, WhatWouldConnectRelativesIsNotCopied) {
  const struct {
    const char* code;
    const char* obstacle;
  } cases[] = {
      {"import os; held = os.pipe()", "pipe:["},
      {"import os; held = [os.eventfd(0)]", "eventfd"},
      {"import select; held = select.epoll()", "eventpoll"},
      {"import socket; held = socket.socketpair()", "socket:["},
      {"import os; os.mkfifo('f'); held = [os.open('f', os.O_RDWR)]", "is a pipe"},
      {"import mmap; held = mmap.mmap(-1, 4096)", "/dev/zero"},
      {"import mmap; f = open('m', 'w+b'); f.truncate(4096); held = mmap.mmap(f.fileno(), 4096)",
       "/workspace/m"},
      {"import mmap; f = open('m', 'w+b'); f.truncate(4096)\n"
       "held = mmap.mmap(f.fileno(), 4096, flags=mmap.MAP_PRIVATE)",
       "/workspace/m"},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.code);
    const std::string parent = Create().name();
    (void)Part(parent, one.code);
    v1::ForkSandboxRequest request;
    request.set_name(parent);
    std::vector<std::string> names;
    const grpc::Status status = TryFork(request, &names);
    EXPECT_EQ(Reason(status), "FORK_REFUSED");
    EXPECT_THAT(status.error_message(), HasSubstr(one.obstacle));
    EXPECT_EQ(Part(parent, "print(held is not None)"), "True\n");
  }
}

// What a copy runs of the user's before it is ready costs that copy at most.
TEST_F(FamilyTest, HooksInACopyHarmNobodyElse) {
  const struct {
    const char* hook;
    const char* reason;  // of the fork; empty where it succeeds
  } cases[] = {
      {"1 / 0", ""},
      {"os._exit(1)", "SANDBOX_SETUP_FAILED"},
      {"os.write(3, b'garbage' * 100)", "SANDBOX_SETUP_FAILED"},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.hook);
    const std::string parent = Create().name();
    (void)Part(parent, absl::StrCat("import os, time\ndef hook():\n  ", one.hook,
                                    "\nos.register_at_fork(after_in_child=hook)\nx = 1"));
    v1::ForkSandboxRequest request;
    request.set_name(parent);
    std::vector<std::string> names;
    EXPECT_EQ(Reason(TryFork(request, &names)), one.reason);
    EXPECT_EQ(Part(parent, "print(x)"), "1\n");
  }
}

}  // namespace
}  // namespace cloister::testing
