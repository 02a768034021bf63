// Where a copied sandbox goes on. A copy is not made by a fork(2) of the guest's: its memory is
// copied while the guest stands still inside a system call, by another process, with that one's
// registers. So the guest says beforehand where copies of it begin.
//
// Thread-safety: none; the guest's main thread, when it is the only one.

#ifndef CLOISTER_SANDBOX_ZYGOTE_FORK_POINT_H_
#define CLOISTER_SANDBOX_ZYGOTE_FORK_POINT_H_

#include <cstddef>
#include <cstdint>

#include "absl/functional/function_ref.h"

namespace cloister::sandbox {

// Runs `in_parent`, and returns when that does. Copies made meanwhile begin by running `in_copy`,
// with the stack as it was at the call, and return then; the signal mask is the parent's. From when
// `in_parent` tells the host that it stands still until it hears from it again, copies are made at
// any moment: it makes nothing but system calls meanwhile, and changes no memory but its stack.
void StandStill(absl::FunctionRef<void()> in_parent, absl::FunctionRef<void()> in_copy);

// For the zygote: the first instruction of a copy and its stack, the same in all processes of one
// zygote. Its argument is the address of `kCopyScratchBytes` that the zygote mapped, to be
// unmapped.
struct CopyEntry {
  uint64_t instruction = 0;
  uint64_t stack = 0;
};
CopyEntry EntryOfCopies();

inline constexpr size_t kCopyScratchBytes = size_t{64} << 10;

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_ZYGOTE_FORK_POINT_H_
