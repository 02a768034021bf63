// Waits that an interrupt ends in interpreters that signals do not reach.
//
// What CPython itself waits for in C is ended by an asynchronous exception only where it looks for
// one. That leaves out locks, and before 3.15 every system call.

#ifndef CLOISTER_SANDBOX_GUEST_INTERRUPTIBLE_WAITS_H_
#define CLOISTER_SANDBOX_GUEST_INTERRUPTIBLE_WAITS_H_

#include <poll.h>

#include <cstdint>

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// Until a descriptor is ready for `events` of poll(2), or in error, which gives 1; 0 when the time
// is over; -1 with what an interrupt raised. A negative descriptor is never ready. Without the GIL
// meanwhile. An interrupt comes either before the look at them or while it waits, never between the
// two.
int WaitForDescriptor(int descriptor, short events, int64_t nanoseconds);
inline constexpr int64_t kForever = -1;

// The same for several of them, whose `revents` are set. Gives 1 as well when `stop`, where not
// null, is true: whoever makes it true, with the GIL, calls WakeThread of interrupts.h.
int WaitForDescriptors(pollfd* polled, nfds_t count, int64_t nanoseconds,
                       const bool* stop = nullptr);

// A timeout as Python code gives it: seconds, or None. False with a Python exception set.
bool ToNanoseconds(PyObject* seconds, int64_t* nanoseconds);

// In an interpreter other than main, before anything but site is imported: puts ours in place of
// the locks of module _thread and, where system calls are not interruptible otherwise, of
// time.sleep. The rest is waits.py. False with a Python exception set.
bool InstallInterruptibleWaits();

// wait_ready(fd, events, seconds_or_None, only_where_it_blocks=False), for waits.py.
extern PyMethodDef wait_ready_method;

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_INTERRUPTIBLE_WAITS_H_
