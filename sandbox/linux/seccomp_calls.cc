// What is known of system calls beside the table's verdicts: which the confinement itself needs, which
// only namespaces make harmless, and their numbers.

#include <linux/prctl.h>
#include <seccomp.h>

#include <algorithm>
#include <iterator>
#include <string>

#include "absl/strings/str_split.h"
#include "sandbox/linux/seccomp_table.h"

namespace cloister::sandbox {
namespace {

// Refused to the guest, but needed to make it one.
constexpr std::string_view kConfinementCalls[] = {"clone3",
                                                  "setns",
                                                  "setresuid",
                                                  "setresgid",
                                                  "setuid",
                                                  "setgid",
                                                  "setgroups",
                                                  "capset",
                                                  "seccomp",
                                                  "pidfd_open",
                                                  "pidfd_send_signal",
                                                  "ptrace",
                                                  "kcmp",
                                                  "landlock_create_ruleset",
                                                  "landlock_add_rule",
                                                  "landlock_restrict_self"};
constexpr uint64_t kConfinementOptions[] = {PR_SET_DUMPABLE, PR_CAP_AMBIENT, PR_SET_PDEATHSIG};

constexpr std::string_view kNamespacedCalls[] = {"setpriority",    "sched_setaffinity",
                                                 "sched_setparam", "sched_setscheduler",
                                                 "chmod",          "fchmod",
                                                 "fchmodat",       "fchmodat2",
                                                 "chown",          "fchown",
                                                 "lchown",         "fchownat",
                                                 "utime",          "utimes",
                                                 "futimesat",      "utimensat"};

// Calls newer than the oldest libseccomp we build with (2.5.4). Numbers above 423 are the same on
// every machine; the two below are x86-64's.
struct NewerSyscall {
  std::string_view name;
  int number;
};
constexpr NewerSyscall kNewerSyscalls[] = {
#ifdef __x86_64__
    {"uretprobe", 335},         {"uprobe", 336},
#endif
    {"cachestat", 451},         {"fchmodat2", 452},        {"map_shadow_stack", 453},
    {"futex_wake", 454},        {"futex_wait", 455},       {"futex_requeue", 456},
    {"statmount", 457},         {"listmount", 458},        {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460}, {"lsm_list_modules", 461}, {"mseal", 462},
    {"setxattrat", 463},        {"getxattrat", 464},       {"listxattrat", 465},
    {"removexattrat", 466},     {"open_tree_attr", 467},   {"file_getattr", 468},
    {"file_setattr", 469},      {"listns", 470},
};

}  // namespace

bool IsNeededToConfine(std::string_view name) {
  return std::find(std::begin(kConfinementCalls), std::end(kConfinementCalls), name) !=
         std::end(kConfinementCalls);
}

bool IsNeededToConfine(const ArgumentRule& rule) {
  // Of any process, and for another one: what a zygote does for a sandbox's copy.
  if (rule.name == "clone" || rule.name == "prlimit64") return true;
  return rule.name == "prctl" &&
         std::find(std::begin(kConfinementOptions), std::end(kConfinementOptions), rule.value) !=
             std::end(kConfinementOptions);
}

bool NeedsNamespaces(std::string_view name) {
  return std::find(std::begin(kNamespacedCalls), std::end(kNamespacedCalls), name) !=
         std::end(kNamespacedCalls);
}

std::vector<std::string_view> NamesOf(const SyscallGroup& group) {
  std::vector<std::string_view> names;
  for (const absl::string_view name :
       absl::StrSplit(absl::string_view(group.names.data(), group.names.size()), ' ')) {
    names.emplace_back(name.data(), name.size());
  }
  return names;
}

int SyscallNumber(std::string_view name) {
  for (const NewerSyscall& syscall : kNewerSyscalls) {
    if (syscall.name == name) return syscall.number;
  }
  const int number = ::seccomp_syscall_resolve_name(std::string(name).c_str());
  return number >= 0 ? number : -1;  // negative: calls of other machines
}

}  // namespace cloister::sandbox
