#include "sandbox/zygote/fork_point.h"

#include <setjmp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace cloister::sandbox {
namespace {

constexpr size_t kEntryStackBytes = 16 << 10;
constexpr int kNoForkPointStatus = 70;  // EX_SOFTWARE
constexpr int kRestoreSignalMask = 1;

// What the kernel knows of a thread by address: glibc tells it once, and a copy begins without.
struct ThreadRegistration {
  void* robust_list = nullptr;
  size_t robust_list_bytes = 0;
};

bool point_is_set = false;
sigjmp_buf point;
ThreadRegistration registration;
alignas(16) char entry_stack[kEntryStackBytes];

ThreadRegistration ReadRegistration() {
  ThreadRegistration read;
  syscall(SYS_get_robust_list, 0, &read.robust_list, &read.robust_list_bytes);
  return read;
}

void RegisterThread() {
  if (registration.robust_list != nullptr) {
    syscall(SYS_set_robust_list, registration.robust_list, registration.robust_list_bytes);
  }
#ifdef RSEQ_SIG
  // In vain where the kernel does not know it; then glibc had not registered it either.
  if (__rseq_size != 0) {
    char* const area = static_cast<char*>(__builtin_thread_pointer()) + __rseq_offset;
    syscall(SYS_rseq, area, 32, 0, RSEQ_SIG);
  }
#endif
}

// The first function of a copy.
[[noreturn]] void BeginCopy(void* scratch) {
  munmap(scratch, kCopyScratchBytes);
  // Guests that were hostile enough to be copied without standing still.
  if (!point_is_set) _exit(kNoForkPointStatus);
  siglongjmp(point, 1);
}

}  // namespace

void StandStill(absl::FunctionRef<void()> in_parent, absl::FunctionRef<void()> in_copy) {
  registration = ReadRegistration();
  if (sigsetjmp(point, kRestoreSignalMask) == 0) {
    point_is_set = true;
    in_parent();
    point_is_set = false;
    return;
  }
  point_is_set = false;
  prctl(PR_SET_NAME, "sandbox", 0, 0, 0);  // as every first process: it was born with its shadow's
  RegisterThread();
  in_copy();
}

CopyEntry EntryOfCopies() {
  // As a call leaves it: eight below a multiple of sixteen.
  return {.instruction = reinterpret_cast<uint64_t>(&BeginCopy),
          .stack = reinterpret_cast<uint64_t>(entry_stack + kEntryStackBytes) - 8};
}

}  // namespace cloister::sandbox
