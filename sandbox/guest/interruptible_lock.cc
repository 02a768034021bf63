#include "sandbox/guest/interruptible_lock.h"

#include <pthread.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "sandbox/base/monotonic_time.h"
#include "sandbox/guest/interrupts.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {
namespace {

// A signal ends the wait; one that came just before it began is seen after so long.
constexpr int64_t kSliceMicroseconds = 100'000;
constexpr int64_t kWithoutEnd = -1;

enum class Acquired { kYes, kNo, kFailed };

Acquired Acquire(PyThread_type_lock lock, int64_t microseconds) {
  if (PyThread_acquire_lock(lock, NOWAIT_LOCK) != 0) return Acquired::kYes;
  const int64_t deadline = MonotonicNanoseconds() / 1000 + microseconds;
  for (;;) {
    int64_t slice = kSliceMicroseconds;
    if (microseconds != kWithoutEnd) {
      slice = std::min(slice, deadline - MonotonicNanoseconds() / 1000);
      if (slice <= 0) return Acquired::kNo;
    }
    PyLockStatus status;
    Py_BEGIN_ALLOW_THREADS;
    status = PyThread_acquire_lock_timed(lock, slice, 1);
    Py_END_ALLOW_THREADS;
    if (status == PY_LOCK_ACQUIRED) return Acquired::kYes;
    if (CheckInterrupts() != 0) return Acquired::kFailed;
  }
}

// acquire(blocking=True, timeout=-1), with the errors of the original. False with a Python
// exception set.
bool ParseTimeout(PyObject* arguments, PyObject* names, int64_t* microseconds) {
  static const char* const keywords[] = {"blocking", "timeout", nullptr};
  int blocking = 1;
  PyObject* timeout = nullptr;
  if (!PyArg_ParseTupleAndKeywords(arguments, names, "|pO:acquire", const_cast<char**>(keywords),
                                   &blocking, &timeout)) {
    return false;
  }
  const double seconds = timeout == nullptr ? -1 : PyFloat_AsDouble(timeout);
  if (seconds == -1 && PyErr_Occurred() != nullptr) return false;
  *microseconds = blocking != 0 ? kWithoutEnd : 0;
  if (seconds == -1) return true;
  if (blocking == 0) {
    PyErr_SetString(PyExc_ValueError, "can't specify a timeout for a non-blocking call");
  } else if (std::isnan(seconds)) {
    PyErr_SetString(PyExc_ValueError, "Invalid value NaN (not a number)");
  } else if (seconds < 0) {
    PyErr_SetString(PyExc_ValueError, "timeout value must be a non-negative number");
  } else if (seconds > static_cast<double>(PY_TIMEOUT_MAX) / 1e6) {
    PyErr_SetString(PyExc_OverflowError, "timeout value is too large");
  } else {
    *microseconds = static_cast<int64_t>(std::ceil(seconds * 1e6));
    return true;
  }
  return false;
}

// ---- both types ---------------------------------------------------------------------------------

struct Lock {
  PyObject_HEAD PyThread_type_lock lock;
  bool is_locked;
  pthread_t owner;  // of an RLock that is locked
  uint64_t count;   // how often it was acquired
  PyObject* weak_references;
};

Lock* AsLock(PyObject* self) { return reinterpret_cast<Lock*>(self); }

PyObject* New(PyTypeObject* type, PyObject* arguments, PyObject* names) {
  if (PyTuple_GET_SIZE(arguments) != 0 || (names != nullptr && PyDict_GET_SIZE(names) != 0)) {
    PyErr_Format(PyExc_TypeError, "%s() takes no arguments", type->tp_name);
    return nullptr;
  }
  PyRef self = PyRef::Steal(type->tp_alloc(type, 0));
  if (!self) return nullptr;
  AsLock(self.get())->lock = PyThread_allocate_lock();
  if (AsLock(self.get())->lock == nullptr) return PyErr_NoMemory();
  return self.release();
}

// So that the type goes with its last object when an interpreter ends, where garbage is collected
// once: what stays would keep whole arenas.
int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  return 0;
}

void Deallocate(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  PyObject_ClearWeakRefs(self);
  Lock* lock = AsLock(self);
  if (lock->lock != nullptr) {
    if (lock->is_locked) PyThread_release_lock(lock->lock);
    PyThread_free_lock(lock->lock);
  }
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* IsLocked(PyObject* self, PyObject*) { return PyBool_FromLong(AsLock(self)->is_locked); }

// For a copy of the process in which the thread that held it does not exist.
PyObject* Reinitialize(PyObject* self, PyObject*) {
  PyThread_type_lock fresh = PyThread_allocate_lock();
  if (fresh == nullptr) return PyErr_NoMemory();
  Lock* lock = AsLock(self);
  lock->lock = fresh;  // the old one is in an unknown state
  lock->is_locked = false;
  lock->count = 0;
  return Py_NewRef(Py_None);
}

template <typename Function>
PyCFunction AsMethod(Function function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(function));
}

template <typename Function>
void* AsSlot(Function function) {
  return reinterpret_cast<void*>(function);
}

// ---- lock ---------------------------------------------------------------------------------------

PyObject* LockAcquireFor(PyObject* self, int64_t microseconds) {
  const Acquired acquired = Acquire(AsLock(self)->lock, microseconds);
  if (acquired == Acquired::kFailed) return nullptr;
  if (acquired == Acquired::kYes) AsLock(self)->is_locked = true;
  return PyBool_FromLong(acquired == Acquired::kYes);
}

PyObject* LockAcquire(PyObject* self, PyObject* arguments, PyObject* names) {
  int64_t microseconds;
  return ParseTimeout(arguments, names, &microseconds) ? LockAcquireFor(self, microseconds)
                                                       : nullptr;
}

PyObject* LockEnter(PyObject* self, PyObject*) { return LockAcquireFor(self, kWithoutEnd); }

PyObject* LockRelease(PyObject* self, PyObject*) {
  Lock* lock = AsLock(self);
  if (!lock->is_locked) {
    PyErr_SetString(PyExc_RuntimeError, "release unlocked lock");
    return nullptr;
  }
  lock->is_locked = false;
  PyThread_release_lock(lock->lock);
  return Py_NewRef(Py_None);
}

PyObject* LockRepr(PyObject* self) {
  return PyUnicode_FromFormat("<%s %s object at %p>",
                              AsLock(self)->is_locked ? "locked" : "unlocked",
                              Py_TYPE(self)->tp_name, static_cast<void*>(self));
}

PyMethodDef lock_methods[] = {
    {"acquire", AsMethod(LockAcquire), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"acquire_lock", AsMethod(LockAcquire), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"release", LockRelease, METH_NOARGS, nullptr},
    {"release_lock", LockRelease, METH_NOARGS, nullptr},
    {"locked", IsLocked, METH_NOARGS, nullptr},
    {"locked_lock", IsLocked, METH_NOARGS, nullptr},
    {"__enter__", LockEnter, METH_NOARGS, nullptr},
    {"__exit__", LockRelease, METH_VARARGS, nullptr},
    {"_at_fork_reinit", Reinitialize, METH_NOARGS, nullptr},
    {}};

// ---- RLock --------------------------------------------------------------------------------------

bool IsOwner(const Lock* lock) {
  return lock->count > 0 && pthread_equal(lock->owner, pthread_self()) != 0;
}

PyObject* RLockAcquireFor(PyObject* self, int64_t microseconds) {
  Lock* lock = AsLock(self);
  if (!IsOwner(lock)) {
    const Acquired acquired = Acquire(lock->lock, microseconds);
    if (acquired == Acquired::kFailed) return nullptr;
    if (acquired == Acquired::kNo) return Py_NewRef(Py_False);
    lock->is_locked = true;
    lock->owner = pthread_self();
    lock->count = 0;
  }
  ++lock->count;
  return Py_NewRef(Py_True);
}

PyObject* RLockAcquire(PyObject* self, PyObject* arguments, PyObject* names) {
  int64_t microseconds;
  return ParseTimeout(arguments, names, &microseconds) ? RLockAcquireFor(self, microseconds)
                                                       : nullptr;
}

PyObject* RLockEnter(PyObject* self, PyObject*) { return RLockAcquireFor(self, kWithoutEnd); }

PyObject* RLockRelease(PyObject* self, PyObject*) {
  Lock* lock = AsLock(self);
  if (!IsOwner(lock)) {
    PyErr_SetString(PyExc_RuntimeError, "cannot release un-acquired lock");
    return nullptr;
  }
  if (--lock->count == 0) {
    lock->is_locked = false;
    PyThread_release_lock(lock->lock);
  }
  return Py_NewRef(Py_None);
}

PyObject* RLockIsOwned(PyObject* self, PyObject*) { return PyBool_FromLong(IsOwner(AsLock(self))); }

PyObject* RLockCount(PyObject* self, PyObject*) {
  return PyLong_FromUnsignedLongLong(IsOwner(AsLock(self)) ? AsLock(self)->count : 0);
}

// What threading.Condition calls around a wait: lets go of it however often it was acquired.
PyObject* RLockSave(PyObject* self, PyObject*) {
  Lock* lock = AsLock(self);
  if (!IsOwner(lock)) {
    PyErr_SetString(PyExc_RuntimeError, "cannot release un-acquired lock");
    return nullptr;
  }
  PyObject* saved = Py_BuildValue("KK", static_cast<unsigned long long>(lock->count),
                                  static_cast<unsigned long long>(lock->owner));
  if (saved == nullptr) return nullptr;
  lock->count = 0;
  lock->is_locked = false;
  PyThread_release_lock(lock->lock);
  return saved;
}

// Must not fail for an interrupt: who waited expects to have it. Others hold it for moments only.
PyObject* RLockRestore(PyObject* self, PyObject* saved) {
  unsigned long long count;
  unsigned long long owner;
  if (!PyArg_Parse(saved, "(KK):_acquire_restore", &count, &owner)) return nullptr;
  Lock* lock = AsLock(self);
  if (PyThread_acquire_lock(lock->lock, NOWAIT_LOCK) == 0) {
    Py_BEGIN_ALLOW_THREADS;
    PyThread_acquire_lock(lock->lock, WAIT_LOCK);
    Py_END_ALLOW_THREADS;
  }
  lock->is_locked = true;
  lock->count = count;
  lock->owner = static_cast<pthread_t>(owner);
  return Py_NewRef(Py_None);
}

PyObject* RLockRepr(PyObject* self) {
  const Lock* lock = AsLock(self);
  return PyUnicode_FromFormat(
      "<%s %s object owner=%llu count=%llu at %p>", lock->is_locked ? "locked" : "unlocked",
      Py_TYPE(self)->tp_name, lock->is_locked ? static_cast<unsigned long long>(lock->owner) : 0ULL,
      static_cast<unsigned long long>(lock->count), static_cast<void*>(self));
}

PyMethodDef rlock_methods[] = {
    {"acquire", AsMethod(RLockAcquire), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"release", RLockRelease, METH_NOARGS, nullptr},
    {"locked", IsLocked, METH_NOARGS, nullptr},
    {"__enter__", RLockEnter, METH_NOARGS, nullptr},
    {"__exit__", RLockRelease, METH_VARARGS, nullptr},
    {"_is_owned", RLockIsOwned, METH_NOARGS, nullptr},
    {"_recursion_count", RLockCount, METH_NOARGS, nullptr},
    {"_release_save", RLockSave, METH_NOARGS, nullptr},
    {"_acquire_restore", RLockRestore, METH_O, nullptr},
    {"_at_fork_reinit", Reinitialize, METH_NOARGS, nullptr},
    {}};

// ---- types --------------------------------------------------------------------------------------

PyMemberDef members[] = {
    {"__weaklistoffset__", Py_T_PYSSIZET, static_cast<Py_ssize_t>(offsetof(Lock, weak_references)),
     Py_READONLY, nullptr},
    {}};
PyType_Slot lock_slots[] = {{Py_tp_new, AsSlot(New)},
                            {Py_tp_dealloc, AsSlot(Deallocate)},
                            {Py_tp_traverse, AsSlot(Traverse)},
                            {Py_tp_repr, AsSlot(LockRepr)},
                            {Py_tp_methods, lock_methods},
                            {Py_tp_members, members},
                            {0, nullptr}};
PyType_Spec lock_spec = {
    .name = "_thread.lock",
    .basicsize = sizeof(Lock),
    .itemsize = 0,
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = lock_slots};

PyType_Slot rlock_slots[] = {{Py_tp_new, AsSlot(New)},
                             {Py_tp_dealloc, AsSlot(Deallocate)},
                             {Py_tp_traverse, AsSlot(Traverse)},
                             {Py_tp_repr, AsSlot(RLockRepr)},
                             {Py_tp_methods, rlock_methods},
                             {Py_tp_members, members},
                             {0, nullptr}};
PyType_Spec rlock_spec = {.name = "_thread.RLock",
                          .basicsize = sizeof(Lock),
                          .itemsize = 0,
                          .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                          .slots = rlock_slots};

bool SetAll(PyObject* module, std::initializer_list<const char*> names, PyObject* value) {
  return std::all_of(names.begin(), names.end(), [&](const char* name) {
    return PyObject_SetAttrString(module, name, value) == 0;
  });
}

}  // namespace

bool InstallInterruptibleLocks() {
  PyRef thread = PyRef::Steal(PyImport_ImportModule("_thread"));
  PyRef lock = PyRef::Steal(thread ? PyType_FromSpec(&lock_spec) : nullptr);
  PyRef rlock = PyRef::Steal(lock ? PyType_FromSpec(&rlock_spec) : nullptr);
  PyRef name = PyRef::Steal(rlock ? PyUnicode_FromString("threading") : nullptr);
  if (!name ||
      !SetAll(thread.get(), {"lock", "LockType", "allocate_lock", "allocate"}, lock.get()) ||
      !SetAll(thread.get(), {"RLock"}, rlock.get())) {
    return false;
  }
  PyRef threading = PyRef::Steal(PyImport_GetModule(name.get()));
  if (!threading) return PyErr_Occurred() == nullptr;
  return SetAll(threading.get(), {"Lock", "_allocate_lock", "_LockType"}, lock.get()) &&
         SetAll(threading.get(), {"_CRLock"}, rlock.get());
}

}  // namespace cloister::sandbox
