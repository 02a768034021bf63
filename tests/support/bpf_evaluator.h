// Runs a seccomp program in user space, as the kernel would for one system call. Proves what a
// filter answers without privileges and without making the call.

#ifndef CLOISTER_TESTS_SUPPORT_BPF_EVALUATOR_H_
#define CLOISTER_TESTS_SUPPORT_BPF_EVALUATOR_H_

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace cloister::testing {

// The program's answer (a SECCOMP_RET_ value). Errors: INVALID_ARGUMENT for what the kernel would
// not have installed (unknown or unsuited instruction, load beyond `call`, jump past the end) and
// for programs that do not end.
absl::StatusOr<uint32_t> EvaluateBpf(absl::Span<const sock_filter> program,
                                     const seccomp_data& call);

}  // namespace cloister::testing

#endif  // CLOISTER_TESTS_SUPPORT_BPF_EVALUATOR_H_
