// Turns the table of system calls into a kernel program, once per zygote, and installs that
// program, once per sandbox.

#ifndef CLOISTER_SANDBOX_LINUX_SECCOMP_FILTER_H_
#define CLOISTER_SANDBOX_LINUX_SECCOMP_FILTER_H_

#include <linux/filter.h>

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cloister::sandbox {

// Installing a filter costs by its length and depth, and filters add up: what any of them refuses
// is refused. So a zygote may install nearly all of it once, for all its children to inherit.
enum class SeccompPart {
  kWhole,   // all in one
  kZygote,  // all but the refusals of what zygotes, and children that confine themselves, still
            // need
  kRest,    // those refusals alone: with kZygote below it, exactly kWhole
};

struct SeccompOptions {
  // Whether the guest may fork and execute the image's programs. Without it, it has threads only.
  bool allow_subprocesses = false;
  // Whether it has pid and mount namespaces of its own. Without them it does without the calls of
  // NeedsNamespaces as well.
  bool has_namespaces = true;
  SeccompPart part = SeccompPart::kWhole;
};

// Classic BPF over struct seccomp_data.
using SeccompProgram = std::vector<sock_filter>;

// Builds a program whose look-up is a binary search: the kernel runs it once per system call number
// when it is installed, so its depth is what installing costs. Takes milliseconds: not for the path
// of a request. Errors: INTERNAL, naming the row that libseccomp refused.
absl::StatusOr<SeccompProgram> BuildSeccompProgram(const SeccompOptions& options);

// Confines the calling thread for good. Needs no_new_privs (or CAP_SYS_ADMIN). The last step of
// confinement: what comes after it is subject to it. Does not allocate on success.
absl::Status InstallSeccompProgram(const SeccompProgram& program);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_SECCOMP_FILTER_H_
