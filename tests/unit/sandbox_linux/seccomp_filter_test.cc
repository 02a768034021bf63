// The program the kernel gets, evaluated in user space: every row of the table, and what must hold
// whatever the table says.

#include "sandbox/linux/seccomp_filter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <set>
#include <string>

#include "sandbox/linux/seccomp_table.h"
#include "tests/support/bpf_evaluator.h"

namespace cloister::sandbox {
namespace {

using ::cloister::testing::EvaluateBpf;

using Arguments = std::array<uint64_t, 6>;

constexpr uint32_t kAllowed = SECCOMP_RET_ALLOW;
constexpr uint32_t kKilled = SECCOMP_RET_KILL_PROCESS;
constexpr uint32_t Refused(int error) { return SECCOMP_RET_ERRNO | static_cast<uint32_t>(error); }
constexpr uint32_t kAbsent = Refused(ENOSYS);

constexpr uint64_t kPthreadFlags = 0x3d0f00;
constexpr uint64_t kForkFlags = 0x1200011;
constexpr Arguments kZeros = {};
constexpr Arguments kOnes = {~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull};

uint32_t Action(Verdict verdict, int error) {
  switch (verdict) {
    case Verdict::kAllow:
      return kAllowed;
    case Verdict::kErrno:
      return Refused(error);
    case Verdict::kViolation:
      return kKilled;
    case Verdict::kByArgument:
      break;
  }
  return kAbsent;
}

class SeccompFilterTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    absl::StatusOr<SeccompProgram> program =
        BuildSeccompProgram({.allow_subprocesses = GetParam()});
    ASSERT_TRUE(program.ok()) << program.status();
    program_ = *std::move(program);
  }

  bool Applies(AppliesTo applies_to) const {
    return applies_to == AppliesTo::kAll || (applies_to == AppliesTo::kSubprocesses) == GetParam();
  }

  uint32_t Answer(uint32_t architecture, int number, const Arguments& arguments) const {
    seccomp_data call = {};
    call.nr = number;
    call.arch = architecture;
    std::copy(arguments.begin(), arguments.end(), call.args);
    const absl::StatusOr<uint32_t> answer = EvaluateBpf(program_, call);
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.value_or(0);
  }
  uint32_t Answer(int number, const Arguments& arguments = {}) const {
    return Answer(AUDIT_ARCH_X86_64, number, arguments);
  }

  SeccompProgram program_;
};
INSTANTIATE_TEST_SUITE_P(Options, SeccompFilterTest, ::testing::Bool(), [](const auto& info) {
  return info.param ? "Subprocesses" : "ThreadsOnly";
});

TEST_P(SeccompFilterTest, AnswersEveryGroupAsTheTableSays) {
  for (const SyscallGroup& group : SyscallGroups()) {
    if (!Applies(group.applies_to) || group.verdict == Verdict::kByArgument) continue;
    const uint32_t expected = Action(group.verdict, group.error_number);
    for (const std::string_view name : NamesOf(group)) {
      EXPECT_EQ(Answer(SyscallNumber(name), kZeros), expected) << name;
      EXPECT_EQ(Answer(SyscallNumber(name), kOnes), expected) << name;
    }
  }
}

TEST_P(SeccompFilterTest, AnswersEveryArgumentRuleAsTheTableSays) {
  for (const ArgumentRule& rule : ArgumentRules()) {
    if (!Applies(rule.applies_to)) continue;
    std::set<uint64_t> matching;
    switch (rule.comparison) {
      case ArgumentRule::Comparison::kEqual:
        matching = {rule.value};
        break;
      case ArgumentRule::Comparison::kNotEqual:
        matching = {rule.value + 1, rule.value ^ 1, rule.value ^ (1ull << 31),
                    rule.value ^ (1ull << 32), ~rule.value};
        break;
      case ArgumentRule::Comparison::kMaskedEqual:
        matching = {rule.value, rule.value | (~rule.mask & 0xffff'ffff'0000'0000)};
        break;
    }
    for (const uint64_t value : matching) {
      Arguments arguments = {};
      arguments[rule.argument] = value;
      EXPECT_EQ(Answer(SyscallNumber(rule.name), arguments),
                Action(rule.verdict, rule.error_number))
          << rule.name << " with " << std::hex << value << ": " << rule.reason;
    }
  }
}

TEST_P(SeccompFilterTest, CallsOutsideTheTableDoNotExist) {
  std::set<int> named;
  for (const SyscallGroup& group : SyscallGroups()) {
    for (const std::string_view name : NamesOf(group)) named.insert(SyscallNumber(name));
  }
  for (int number = 0; number < 1024; ++number) {
    if (!named.contains(number)) {
      EXPECT_EQ(Answer(number), kAbsent) << number;
    }
  }
}

TEST_P(SeccompFilterTest, KillsCallsThroughOtherMachinesInterfaces) {
  constexpr int kX32Bit = 0x40000000;
  for (const int number : {SYS_read, SYS_getpid, SYS_ptrace, 500}) {
    EXPECT_EQ(Answer(AUDIT_ARCH_I386, number, {}), kKilled) << number;
    EXPECT_EQ(Answer(AUDIT_ARCH_AARCH64, number, {}), kKilled) << number;
    EXPECT_EQ(Answer(AUDIT_ARCH_X86_64, number | kX32Bit, {}), kKilled) << number;
  }
}

TEST_P(SeccompFilterTest, LetsThreadsStart) {
  EXPECT_EQ(Answer(SYS_clone, {kPthreadFlags}), kAllowed);
  EXPECT_EQ(Answer(SYS_clone3), kAbsent);  // so that libc falls back to clone
}

TEST_P(SeccompFilterTest, LetsProcessesStartOnlyWhereAsked) {
  const uint32_t expected = GetParam() ? kAllowed : Refused(EPERM);
  EXPECT_EQ(Answer(SYS_clone, {kForkFlags}), expected);
  EXPECT_EQ(Answer(SYS_clone, {CLONE_VM | CLONE_VFORK | SIGCHLD}), expected);
  EXPECT_EQ(Answer(SYS_fork), expected);
  EXPECT_EQ(Answer(SYS_vfork), expected);
  EXPECT_EQ(Answer(SYS_execve), expected);
  EXPECT_EQ(Answer(SYS_execveat), Refused(EPERM));
}

TEST_P(SeccompFilterTest, NeverLetsCloneMakeNamespacesOrSiblings) {
  for (const uint64_t flag : {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                              CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_PARENT}) {
    EXPECT_NE(Answer(SYS_clone, {flag | SIGCHLD}), kAllowed) << std::hex << flag;
    EXPECT_NE(Answer(SYS_clone, {flag | kPthreadFlags}), kAllowed) << std::hex << flag;
    EXPECT_NE(Answer(SYS_clone, {flag | CLONE_NEWUSER | kForkFlags}), kAllowed) << flag;
    // The kernel ignores the upper half; so must a refusal.
    EXPECT_NE(Answer(SYS_clone, {flag | kForkFlags | 1ull << 40}), kAllowed) << flag;
  }
}

TEST_P(SeccompFilterTest, MakesNoSocketsButUnixPairs) {
  for (uint64_t family = 0; family < 64; ++family) {
    EXPECT_EQ(Answer(SYS_socket, {family, SOCK_STREAM}), Refused(EPERM)) << family;
    EXPECT_EQ(Answer(SYS_socketpair, {family, SOCK_STREAM}),
              family == AF_UNIX ? kAllowed : Refused(EPERM))
        << family;
  }
}

TEST_P(SeccompFilterTest, TypesIntoNoTerminal) {
  EXPECT_EQ(Answer(SYS_ioctl, {0, TIOCSTI}), kKilled);
  EXPECT_EQ(Answer(SYS_ioctl, {0, TIOCSTI | 1ull << 32}), kKilled);
  EXPECT_EQ(Answer(SYS_ioctl, {0, TCGETS}), Refused(ENOTTY));
  EXPECT_EQ(Answer(SYS_ioctl, {0, TCSBRK}), Refused(ENOTTY));
  EXPECT_EQ(Answer(SYS_ioctl, {0, FIONBIO}), kAllowed);
}

TEST_P(SeccompFilterTest, KnowsNoOtherRequestsOfDevices) {
  std::set<uint32_t> named;
  for (const ArgumentRule& rule : ArgumentRules()) {
    if (rule.name == "ioctl") named.insert(static_cast<uint32_t>(rule.value));
  }
  std::set<uint32_t> others = {0, 1, 0x1234, TIOCGWINSZ, TIOCEXCL, 0x802c542a, ~0u};
  for (const uint32_t request : named) {
    for (int bit = 0; bit < 32; ++bit) others.insert(request ^ 1u << bit);
    others.insert({request - 1, request + 1});
  }
  for (uint32_t request = 0x5400; request < 0x5500; ++request) others.insert(request);
  for (const uint32_t request : others) {
    if (named.contains(request)) continue;
    EXPECT_EQ(Answer(SYS_ioctl, {0, request}), Refused(ENOTTY)) << std::hex << request;
    EXPECT_EQ(Answer(SYS_ioctl, {0, request | 1ull << 32}), Refused(ENOTTY)) << std::hex << request;
  }
}

TEST_P(SeccompFilterTest, TakesNoHugePagesOfTheMachine) {
  EXPECT_EQ(Answer(SYS_mmap, {0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS}), kAllowed);
  EXPECT_EQ(Answer(SYS_mmap, {0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB}),
            Refused(ENOMEM));
  EXPECT_EQ(Answer(SYS_memfd_create, {0, MFD_CLOEXEC | MFD_ALLOW_SEALING}), kAllowed);
  EXPECT_EQ(Answer(SYS_memfd_create, {0, MFD_HUGETLB}), Refused(ENOMEM));
  EXPECT_EQ(Answer(SYS_memfd_create, {0, MFD_HUGETLB | 1ull << 40}), Refused(ENOMEM));
}

TEST_P(SeccompFilterTest, ChangesNoProtectionOfTheProcess) {
  EXPECT_EQ(Answer(SYS_prctl, {PR_SET_NAME}), kAllowed);
  EXPECT_EQ(Answer(SYS_prctl, {PR_SET_DUMPABLE, 1}), Refused(EPERM));
  EXPECT_EQ(Answer(SYS_prctl, {PR_SET_PDEATHSIG, 0}), Refused(EPERM));
  EXPECT_EQ(Answer(SYS_prctl, {PR_SET_SECCOMP}), Refused(EPERM));
  EXPECT_EQ(Answer(SYS_prctl, {12345}), kAbsent);
  EXPECT_EQ(Answer(SYS_personality, {0xffffffff}), kAllowed);
  EXPECT_EQ(Answer(SYS_personality, {0x0040000}), Refused(EPERM));  // ADDR_NO_RANDOMIZE
}

TEST_P(SeccompFilterTest, AsksForLimitsOfItselfOnly) {
  EXPECT_EQ(Answer(SYS_prlimit64, {0, 7}), kAllowed);
  EXPECT_EQ(Answer(SYS_prlimit64, {1, 7}), Refused(EPERM));
}

TEST_P(SeccompFilterTest, MakesPipesAndFilesButNoDevices) {
  EXPECT_EQ(Answer(SYS_mknodat, {0, 0, S_IFIFO | 0600}), kAllowed);
  EXPECT_EQ(Answer(SYS_mknod, {0, S_IFREG | 0600}), kAllowed);
  EXPECT_EQ(Answer(SYS_mknod, {0, S_IFCHR | 0600}), Refused(EPERM));
  EXPECT_EQ(Answer(SYS_mknodat, {0, 0, S_IFBLK | 0600}), Refused(EPERM));
}

TEST_P(SeccompFilterTest, RefusesWhatReachesOthersWithoutNamespaces) {
  const int calls[] = {SYS_setpriority, SYS_sched_setaffinity, SYS_chmod,
                       SYS_fchmodat,    SYS_utimensat,         SYS_fchown};
  for (int call : calls) EXPECT_EQ(Answer(call), kAllowed) << call;
  program_ =
      BuildSeccompProgram({.allow_subprocesses = GetParam(), .has_namespaces = false}).value();
  for (int call : calls) EXPECT_EQ(Answer(call), Refused(EPERM)) << call;
  EXPECT_EQ(Answer(SYS_openat), kAllowed);
}

// Of two filters the kernel takes the sterner answer. Here at most one of them refuses, or both
// agree.
uint32_t Sterner(uint32_t a, uint32_t b) {
  if (a == kAllowed) return b;
  EXPECT_TRUE(b == kAllowed || a == b) << std::hex << a << " and " << b;
  return a;
}

TEST_P(SeccompFilterTest, TheTwoPartsTogetherAreTheWhole) {
  std::set<uint64_t> values = {0, 1, 2, 0xffffffff, ~0ull, kPthreadFlags, kForkFlags, S_IFCHR};
  for (const ArgumentRule& rule : ArgumentRules()) {
    values.insert({rule.value, rule.value | 1ull << 32, rule.value + 1, rule.value | kForkFlags});
  }
  const SeccompProgram whole = program_;
  const SeccompProgram zygote =
      BuildSeccompProgram({.allow_subprocesses = GetParam(), .part = SeccompPart::kZygote}).value();
  const SeccompProgram rest =
      BuildSeccompProgram({.allow_subprocesses = GetParam(), .part = SeccompPart::kRest}).value();
  EXPECT_LT(rest.size(), 80u);
  const auto answer_of = [this](const SeccompProgram& program, uint32_t architecture, int number,
                                const Arguments& arguments) {
    program_ = program;
    return Answer(architecture, number, arguments);
  };
  for (int number = 0; number < 512; ++number) {
    for (const uint64_t value : values) {
      const Arguments arguments = {value, value, value};
      ASSERT_EQ(Sterner(answer_of(zygote, AUDIT_ARCH_X86_64, number, arguments),
                        answer_of(rest, AUDIT_ARCH_X86_64, number, arguments)),
                answer_of(whole, AUDIT_ARCH_X86_64, number, arguments))
          << number << " with " << std::hex << value;
    }
    ASSERT_EQ(answer_of(zygote, AUDIT_ARCH_I386, number, kZeros), kKilled);
  }
}

// What installing costs is the depth of the search; a linear program would need hundreds of steps.
TEST_P(SeccompFilterTest, SearchesInATree) {
  size_t jumps_on_numbers = 0;
  for (const sock_filter& instruction : program_) {
    if (instruction.code == (BPF_JMP | BPF_JGT | BPF_K) ||
        instruction.code == (BPF_JMP | BPF_JGE | BPF_K)) {
      ++jumps_on_numbers;
    }
  }
  EXPECT_GT(jumps_on_numbers, 30u);
  EXPECT_LT(program_.size(), static_cast<size_t>(BPF_MAXINSNS));
}

TEST(BpfEvaluator, RefusesWhatTheKernelWould) {
  const seccomp_data call = {};
  const sock_filter past_the_end[] = {{BPF_JMP | BPF_JA, 0, 0, 5}};
  EXPECT_FALSE(EvaluateBpf(past_the_end, call).ok());
  const sock_filter load_outside[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, sizeof(call)},
                                      {BPF_RET | BPF_A, 0, 0, 0}};
  EXPECT_FALSE(EvaluateBpf(load_outside, call).ok());
  EXPECT_FALSE(EvaluateBpf({}, call).ok());
}

}  // namespace
}  // namespace cloister::sandbox
