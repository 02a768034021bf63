// The one table of what a sandbox may ask of the kernel. Data only: seccomp_filter.h turns it into
// a program, tests hold every row against that program.
//
// A system call is in exactly one group. Some calls of a group are decided by an argument: then
// rules say which values differ from the group's verdict. What no group names does not exist for
// the guest: ENOSYS, as on an older kernel, so that a new system call is never allowed by accident
// and libraries fall back.

#ifndef CLOISTER_SANDBOX_LINUX_SECCOMP_TABLE_H_
#define CLOISTER_SANDBOX_LINUX_SECCOMP_TABLE_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/types/span.h"

namespace cloister::sandbox {

enum class Verdict {
  kAllow,
  kErrno,       // refused with an errno: honest programs and libraries try it and cope
  kViolation,   // no honest program does it: the process is killed with SIGSYS
  kByArgument,  // ArgumentRules decide; what they leave open is the group's errno, or ENOSYS
};

// Whether a group or rule is meant for sandboxes that may start processes.
enum class AppliesTo { kAll, kThreadsOnly, kSubprocesses };

// System calls that share a verdict and the reason for it.
struct SyscallGroup {
  Verdict verdict;
  int error_number;  // of kErrno; of kByArgument, with rules that name requests, or 0; else 0
  AppliesTo applies_to;
  std::string_view reason;
  std::string_view names;  // separated by spaces and line ends
};

// For a call with kByArgument: the verdict where (argument & mask) == value, or where it is not.
struct ArgumentRule {
  enum class Comparison { kEqual, kNotEqual, kMaskedEqual };

  std::string_view name;
  int argument;  // 0 to 5
  Comparison comparison;
  uint64_t mask;  // of kMaskedEqual, else 0
  uint64_t value;
  Verdict verdict;  // never kByArgument
  int error_number;
  AppliesTo applies_to;
  std::string_view reason;
};

absl::Span<const SyscallGroup> SyscallGroups();
absl::Span<const ArgumentRule> ArgumentRules();

// Refused calls that a zygote and a child that is confining itself still make: those the last part
// of a filter in two parts refuses. See SeccompPart.
bool IsNeededToConfine(std::string_view name);
bool IsNeededToConfine(const ArgumentRule& rule);

// Allowed calls that are harmless only in pid and mount namespaces of one's own: EPERM without
// them. They reach other processes of the same user, or files past Landlock, which does not govern
// modes, owners and times.
bool NeedsNamespaces(std::string_view name);

// The group's names, split.
std::vector<std::string_view> NamesOf(const SyscallGroup& group);

// The number of a system call of this machine; -1 where it has none. Knows calls that are newer
// than the installed libseccomp.
int SyscallNumber(std::string_view name);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_SECCOMP_TABLE_H_
