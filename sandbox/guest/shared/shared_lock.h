// cloister.Lock and cloister.Condition, and cloister.Semaphore: in shared memory, for all
// interpreters and processes of a sandbox that have an object of them.
//
// A lock is a thread's. Where the one who has it dies, with its process or without, the next one
// gets it and is told: `owner_died` is true until it lets go of it. What the lock guards is then as
// the dead one left it. A condition has a lock of its own. A semaphore is a number that nobody
// owns: what a dead process took of it does not come back.
//
// Waits let go of the GIL and are ended by interrupts, in all profiles.
//
// Thread-safety: the thread that holds the GIL.

#ifndef CLOISTER_SANDBOX_GUEST_SHARED_SHARED_LOCK_H_
#define CLOISTER_SANDBOX_GUEST_SHARED_SHARED_LOCK_H_

#include <memory>

#include "sandbox/guest/python_object.h"
#include "sandbox/guest/shared/robust_lock.h"
#include "sandbox/guest/shared/shared_memory.h"
#include "sandbox/guest/shared/shared_types.h"

namespace cloister::sandbox {

// An object of Lock or Condition.
struct SharedLock {
  PyObject_HEAD struct State { std::unique_ptr<RobustLock> lock; } state;
};

struct SharedSemaphore {
  PyObject_HEAD struct State { std::shared_ptr<const SharedMemory> memory; } state;
};

// An object of a file that was made or checked, of RobustLock::FileBytes().
PyRef NewSharedLock(SharedClass which, OpenDescriptor file);
PyRef NewSharedSemaphore(OpenDescriptor file);

// acquire(blocking=True, timeout=-1), which threading has as well: False with a Python exception
// set. kNoWait: not blocking.
inline constexpr Deadline kNoWait = 0;
bool ParseAcquire(PyObject* arguments, PyObject* names, Deadline* deadline);

enum class Acquired { kYes, kNo, kFailed };
Acquired AcquireLock(RobustLock& lock, Deadline deadline);

// Methods of both Lock and Condition.
PyObject* LockAcquire(PyObject* self, PyObject* arguments, PyObject* names);
PyObject* LockRelease(PyObject* self, PyObject*);
PyObject* LockIsLocked(PyObject* self, PyObject*);
PyObject* LockEnter(PyObject* self, PyObject*);
PyObject* LockExit(PyObject* self, PyObject* arguments);
PyObject* LockOwnerDied(PyObject* self, void*);
PyObject* LockRepr(PyObject* self);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_SHARED_SHARED_LOCK_H_
