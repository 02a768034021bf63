#include "sandbox/linux/seccomp_filter.h"

#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/base/syscall_status.h"
#include "sandbox/base/unique_fd.h"
#include "sandbox/linux/seccomp_table.h"

namespace cloister::sandbox {
namespace {

using FilterContext =
    std::unique_ptr<std::remove_pointer_t<scmp_filter_ctx>, decltype(&seccomp_release)>;

constexpr uint32_t kBinaryTree = 2;

absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }

// libseccomp returns errors as negative errno values.
absl::Status FilterError(int code, std::string_view what) {
  return absl::InternalError(
      absl::StrCat("libseccomp: ", ToAbsl(what), ": ", std::strerror(-code)));
}

bool Applies(AppliesTo applies_to, const SeccompOptions& options) {
  switch (applies_to) {
    case AppliesTo::kAll:
      return true;
    case AppliesTo::kThreadsOnly:
      return !options.allow_subprocesses;
    case AppliesTo::kSubprocesses:
      return options.allow_subprocesses;
  }
  return false;
}

uint32_t ActionOf(Verdict verdict, int error_number) {
  switch (verdict) {
    case Verdict::kAllow:
      return SCMP_ACT_ALLOW;
    case Verdict::kErrno:
      return SCMP_ACT_ERRNO(static_cast<uint32_t>(error_number));
    case Verdict::kViolation:
    case Verdict::kByArgument:
      break;
  }
  return SCMP_ACT_KILL_PROCESS;
}

scmp_arg_cmp ComparisonOf(const ArgumentRule& rule) {
  const unsigned int argument = static_cast<unsigned int>(rule.argument);
  switch (rule.comparison) {
    case ArgumentRule::Comparison::kEqual:
      return {argument, SCMP_CMP_EQ, rule.value, 0};
    case ArgumentRule::Comparison::kNotEqual:
      return {argument, SCMP_CMP_NE, rule.value, 0};
    case ArgumentRule::Comparison::kMaskedEqual:
      break;
  }
  return {argument, SCMP_CMP_MASKED_EQ, rule.mask, rule.value};
}

// What a part says of a call whose verdict is known; `needed` is IsNeededToConfine.
uint32_t ActionInPart(SeccompPart part, bool needed, uint32_t whole) {
  switch (part) {
    case SeccompPart::kWhole:
      return whole;
    case SeccompPart::kZygote:
      return needed ? SCMP_ACT_ALLOW : whole;
    case SeccompPart::kRest:
      return needed ? whole : SCMP_ACT_ALLOW;
  }
  return SCMP_ACT_KILL_PROCESS;
}

uint32_t DefaultAction(SeccompPart part) {
  return part == SeccompPart::kRest ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS);
}

// A call that is not one of this machine, or that a rule would treat as the default does, which
// libseccomp refuses, needs no rule.
absl::Status Add(scmp_filter_ctx context, SeccompPart part, std::string_view name, uint32_t action,
                 absl::Span<const scmp_arg_cmp> comparisons) {
  const int number = SyscallNumber(name);
  if (number < 0 || action == DefaultAction(part)) return absl::OkStatus();
  const int code = ::seccomp_rule_add_array(
      context, action, number, static_cast<unsigned int>(comparisons.size()), comparisons.data());
  return code < 0 ? FilterError(code, name) : absl::OkStatus();
}

// Has `others` called for blocks of values, as few as there are, that together are all those of 32 bits
// but `named`. To libseccomp "any other value" cannot be said: a rule compares an argument once.
absl::Status ForOthers(const std::set<uint32_t>& named, uint32_t first, int free_bits,
                       const std::function<absl::Status(uint32_t mask, uint32_t value)>& others) {
  const uint64_t size = uint64_t{1} << free_bits;
  const auto next = named.lower_bound(first);
  if (next == named.end() || *next >= first + size) {
    return others(static_cast<uint32_t>(~(size - 1)), first);
  }
  if (free_bits == 0) return absl::OkStatus();
  const auto half = static_cast<uint32_t>(size / 2);
  CLOISTER_RETURN_IF_ERROR(ForOthers(named, first, free_bits - 1, others));
  return ForOthers(named, first + half, free_bits - 1, others);
}

// What the rules of a call leave open. They name values of the low half of one argument.
absl::Status AddOthers(scmp_filter_ctx context, SeccompPart part, std::string_view name,
                       uint32_t whole) {
  constexpr int kBits = 32;
  constexpr uint64_t kLowHalf = 0xffffffff;
  std::set<uint32_t> named;
  unsigned int argument = 0;
  for (const ArgumentRule& rule : ArgumentRules()) {
    if (rule.name != name) continue;
    if (rule.comparison != ArgumentRule::Comparison::kMaskedEqual || rule.mask != kLowHalf) {
      return absl::InternalError(absl::StrCat("the rules of ", ToAbsl(name), " name no values"));
    }
    named.insert(static_cast<uint32_t>(rule.value));
    argument = static_cast<unsigned int>(rule.argument);
  }
  const uint32_t action = ActionInPart(part, IsNeededToConfine(name), whole);
  return ForOthers(named, 0, kBits, [&](uint32_t mask, uint32_t value) {
    return Add(context, part, name, action,
               {scmp_arg_cmp{argument, SCMP_CMP_MASKED_EQ, mask, value}});
  });
}

absl::Status AddGroup(scmp_filter_ctx context, const SeccompOptions& options,
                      const SyscallGroup& group) {
  if (group.verdict == Verdict::kByArgument) {
    if (group.error_number == 0) return absl::OkStatus();
    const uint32_t others = ActionOf(Verdict::kErrno, group.error_number);
    for (const std::string_view name : NamesOf(group)) {
      CLOISTER_RETURN_IF_ERROR(AddOthers(context, options.part, name, others));
    }
    return absl::OkStatus();
  }
  const uint32_t verdict = ActionOf(group.verdict, group.error_number);
  for (const std::string_view name : NamesOf(group)) {
    const bool reaches_others = !options.has_namespaces && NeedsNamespaces(name);
    const uint32_t whole = reaches_others ? SCMP_ACT_ERRNO(EPERM) : verdict;
    const uint32_t action = ActionInPart(options.part, IsNeededToConfine(name), whole);
    CLOISTER_RETURN_IF_ERROR(Add(context, options.part, name, action, {}));
  }
  return absl::OkStatus();
}

absl::Status AddRule(scmp_filter_ctx context, SeccompPart part, const ArgumentRule& rule) {
  const uint32_t action =
      ActionInPart(part, IsNeededToConfine(rule), ActionOf(rule.verdict, rule.error_number));
  return Add(context, part, rule.name, action, {ComparisonOf(rule)});
}

absl::Status SetAttribute(scmp_filter_ctx context, scmp_filter_attr attribute, uint32_t value,
                          std::string_view what) {
  const int code = ::seccomp_attr_set(context, attribute, value);
  return code < 0 ? FilterError(code, what) : absl::OkStatus();
}

// The oldest libseccomp can export to a descriptor only.
absl::StatusOr<SeccompProgram> Export(scmp_filter_ctx context) {
  const UniqueFd memory(::memfd_create("seccomp", MFD_CLOEXEC));
  if (!memory) return SyscallError("memfd_create for the seccomp program");
  const int code = ::seccomp_export_bpf(context, memory.get());
  if (code < 0) return FilterError(code, "export");
  struct stat info = {};
  if (::fstat(memory.get(), &info) < 0) return SyscallError("fstat of the seccomp program");
  SeccompProgram program(static_cast<size_t>(info.st_size) / sizeof(sock_filter));
  const size_t bytes = program.size() * sizeof(sock_filter);
  if (::pread(memory.get(), program.data(), bytes, 0) != static_cast<ssize_t>(bytes)) {
    return SyscallError("read the seccomp program back");
  }
  return program;
}

}  // namespace

absl::StatusOr<SeccompProgram> BuildSeccompProgram(const SeccompOptions& options) {
  const FilterContext context(::seccomp_init(DefaultAction(options.part)), &seccomp_release);
  if (context == nullptr) return absl::InternalError("libseccomp: no memory for a filter");
  // Calls through another machine's interface (i386, x32) would not mean what the table means.
  CLOISTER_RETURN_IF_ERROR(SetAttribute(context.get(), SCMP_FLTATR_ACT_BADARCH,
                                        SCMP_ACT_KILL_PROCESS, "foreign architectures"));
  CLOISTER_RETURN_IF_ERROR(
      SetAttribute(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, kBinaryTree, "binary tree"));
  for (const SyscallGroup& group : SyscallGroups()) {
    if (!Applies(group.applies_to, options)) continue;
    CLOISTER_RETURN_IF_ERROR(AddGroup(context.get(), options, group));
  }
  for (const ArgumentRule& rule : ArgumentRules()) {
    if (!Applies(rule.applies_to, options)) continue;
    CLOISTER_RETURN_IF_ERROR(AddRule(context.get(), options.part, rule));
  }
  return Export(context.get());
}

absl::Status InstallSeccompProgram(const SeccompProgram& program) {
  const sock_fprog filter = {static_cast<unsigned short>(program.size()),
                             const_cast<sock_filter*>(program.data())};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0) {
    return SyscallError("install the seccomp filter (is no_new_privs set?)");
  }
  return absl::OkStatus();
}

}  // namespace cloister::sandbox
