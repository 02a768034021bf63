// Waits on a word of shared memory, which an interrupt ends.
//
// The words are shared between processes: the kernel finds those who wait by file and offset, so
// mappings may differ.
//
// Thread-safety: any thread.

#ifndef CLOISTER_SANDBOX_GUEST_SHARED_FUTEX_H_
#define CLOISTER_SANDBOX_GUEST_SHARED_FUTEX_H_

#include <cstdint>

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// A point in monotonic time; kNever.
using Deadline = int64_t;
inline constexpr Deadline kNever = -1;

// The deadline of a timeout in seconds; None, and more than 30 years: kNever. False with a Python
// exception set.
bool ToDeadline(PyObject* timeout, Deadline* deadline);

// How long a wait may last until interrupts are looked for again, at most one slice; 0: it is over.
//
// No wait that can be interrupted between "is there an interrupt?" and its beginning loses the
// interrupt for good: there is no futex call that unblocks signals as it begins to wait, as ppoll
// does. One that comes in those nanoseconds is seen at the end of the slice, if the host, which
// repeats its interrupts, does not end it before.
int64_t NextSlice(Deadline deadline);

enum class Woken {
  kYes,          // by FutexWake, or for no reason
  kChanged,      // the word is another than expected
  kSliceIsOver,  // or a signal came
};

// One wait of at most so long while the word is `expected`. Without the GIL or with it.
Woken FutexWait(const uint32_t* word, uint32_t expected, int64_t nanoseconds);

// Wakes up to `count` who wait; how many.
int FutexWake(const uint32_t* word, int count);

// Waits with the GIL let go of until woken, changed, or the deadline, which is kSliceIsOver; false
// with a Python exception set where an interrupt ended it.
bool WaitInterruptibly(const uint32_t* word, uint32_t expected, Deadline deadline, Woken* woken);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_SHARED_FUTEX_H_
