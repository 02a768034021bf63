#include "sandbox/guest/shared/shared_lock.h"

#include <new>
#include <string>
#include <utility>

#include "sandbox/guest/interrupts.h"
#include "sandbox/guest/shared/heap_type.h"

namespace cloister::sandbox {
namespace {

RobustLock& LockOf(PyObject* self) { return *reinterpret_cast<SharedLock*>(self)->state.lock; }

PyObject* NewLock(PyTypeObject*, PyObject* arguments, PyObject* names) {
  static const char* const keywords[] = {nullptr};
  if (!PyArg_ParseTupleAndKeywords(arguments, names, ":Lock", const_cast<char**>(keywords))) {
    return nullptr;
  }
  auto file = MakeSharedFile(shared_lock_spec.name, RobustLock::FileBytes());
  if (!file.ok()) return RaiseStatus(file.status());
  return NewSharedLock(SharedClass::kLock, *std::move(file)).release();
}

Acquired Fail(const char* message) {
  PyErr_SetString(PyExc_RuntimeError, message);
  return Acquired::kFailed;
}

}  // namespace

PyRef NewSharedLock(SharedClass which, OpenDescriptor file) {
  auto lock = RobustLock::Map(std::move(file));
  if (!lock.ok()) return PyRef::Steal(RaiseStatus(lock.status()));
  PyTypeObject* type = GetSharedClass(which);
  PyRef self = PyRef::Steal(type == nullptr ? nullptr : type->tp_alloc(type, 0));
  if (self) {
    new (&reinterpret_cast<SharedLock*>(self.get())->state) SharedLock::State{*std::move(lock)};
  }
  return self;
}

bool ParseAcquire(PyObject* arguments, PyObject* names, Deadline* deadline) {
  static const char* const keywords[] = {"blocking", "timeout", nullptr};
  int blocking = 1;
  PyObject* timeout = nullptr;
  if (!PyArg_ParseTupleAndKeywords(arguments, names, "|pO:acquire", const_cast<char**>(keywords),
                                   &blocking, &timeout)) {
    return false;
  }
  double seconds = -1;
  if (timeout != nullptr && timeout != Py_None) {
    seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1 && PyErr_Occurred() != nullptr) return false;
  }
  if (seconds == -1) {
    *deadline = blocking == 0 ? kNoWait : kNever;
    return true;
  }
  if (blocking == 0) {
    PyErr_SetString(PyExc_ValueError, "can't specify a timeout for a non-blocking call");
    return false;
  }
  if (seconds < 0) {
    PyErr_SetString(PyExc_ValueError, "timeout value must be a non-negative number");
    return false;
  }
  return ToDeadline(timeout, deadline);
}

Acquired AcquireLock(RobustLock& lock, Deadline deadline) {
  bool has_waited = false;
  uint32_t seen;
  for (;;) {
    switch (lock.TryAcquire(has_waited, &seen)) {
      case RobustLock::Attempt::kAcquired:
        return Acquired::kYes;
      case RobustLock::Attempt::kHeldByCaller:
        if (deadline == kNoWait) return Acquired::kNo;
        return Fail("this thread has the lock already: it is not recursive");
      case RobustLock::Attempt::kNotSupported:
        return Fail("this process cannot have locks in shared memory");
      case RobustLock::Attempt::kNoMemory:
        PyErr_NoMemory();
        return Acquired::kFailed;
      case RobustLock::Attempt::kHeld:
        break;
    }
    if (deadline == kNoWait) return Acquired::kNo;
    // Only here, where no wake was meant for this thread that it has not made use of.
    if (CheckInterrupts() != 0) return Acquired::kFailed;
    const int64_t slice = NextSlice(deadline);
    if (slice == 0) return Acquired::kNo;
    lock.Wait(seen, slice);
    has_waited = true;
  }
}

// ---- methods ------------------------------------------------------------------------------------

PyObject* LockAcquire(PyObject* self, PyObject* arguments, PyObject* names) {
  Deadline deadline;
  if (!ParseAcquire(arguments, names, &deadline)) return nullptr;
  const Acquired acquired = AcquireLock(LockOf(self), deadline);
  return acquired == Acquired::kFailed ? nullptr : PyBool_FromLong(acquired == Acquired::kYes);
}

PyObject* LockRelease(PyObject* self, PyObject*) {
  switch (LockOf(self).Release()) {
    case RobustLock::Released::kYes:
      return Py_NewRef(Py_None);
    case RobustLock::Released::kTakenAway:
      PyErr_SetString(PyExc_RuntimeError, "somebody has written over the lock, and taken it away");
      return nullptr;
    case RobustLock::Released::kNotHeld:
      break;
  }
  PyErr_SetString(PyExc_RuntimeError,
                  "cannot release a lock that this thread has not acquired through this object");
  return nullptr;
}

PyObject* LockIsLocked(PyObject* self, PyObject*) {
  return PyBool_FromLong(LockOf(self).IsHeld() ? 1 : 0);
}

PyObject* LockEnter(PyObject* self, PyObject*) {
  return AcquireLock(LockOf(self), kNever) == Acquired::kYes ? Py_NewRef(self) : nullptr;
}

PyObject* LockExit(PyObject* self, PyObject* arguments) {
  // Where an interrupt has come while Condition.wait() was to get it back, it has not got it; the
  // interrupt is what is to be seen.
  const bool has_failed =
      PyTuple_GET_SIZE(arguments) > 0 && PyTuple_GET_ITEM(arguments, 0) != Py_None;
  if (has_failed && !LockOf(self).IsHeldByCaller()) return Py_NewRef(Py_None);
  return LockRelease(self, nullptr);
}

PyObject* LockOwnerDied(PyObject* self, void*) {
  const RobustLock& lock = LockOf(self);
  return PyBool_FromLong(lock.IsHeldByCaller() && lock.owner_died() ? 1 : 0);
}

PyObject* LockRepr(PyObject* self) {
  return PyUnicode_FromFormat("<%s, %s>", Py_TYPE(self)->tp_name,
                              LockOf(self).IsHeld() ? "locked" : "unlocked");
}

// ---- type ---------------------------------------------------------------------------------------

namespace {

PyMethodDef methods[] = {
    {"acquire", AsMethod(LockAcquire), METH_VARARGS | METH_KEYWORDS,
     "acquire(blocking=True, timeout=-1): whether it was acquired. See owner_died."},
    {"release", LockRelease, METH_NOARGS, "Lets the next one have it."},
    {"locked", LockIsLocked, METH_NOARGS, "Whether somebody has it."},
    {"__enter__", LockEnter, METH_NOARGS, nullptr},
    {"__exit__", LockExit, METH_VARARGS, nullptr},
    {}};
PyGetSetDef properties[] = {
    {"owner_died", LockOwnerDied, nullptr,
     "Whether whoever had the lock before this thread died with it: what it guards may be half "
     "done. False again once this thread releases it.",
     nullptr},
    {}};
constexpr char kDocumentation[] =
    "Lock()\n--\n\n"
    "A lock for all interpreters and processes of a sandbox to which it is sent. It is a thread's, "
    "and not recursive. Where the\none who has it dies, the next one gets it and sees "
    "`owner_died`.";
PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>(kDocumentation)},
                       {Py_tp_new, AsSlot(NewLock)},
                       {Py_tp_dealloc, AsSlot(DeallocateWithState<SharedLock>)},
                       {Py_tp_traverse, AsSlot(TraverseType)},
                       {Py_tp_repr, AsSlot(LockRepr)},
                       {Py_tp_methods, methods},
                       {Py_tp_getset, properties},
                       {0, nullptr}};

}  // namespace

PyType_Spec shared_lock_spec = {.name = "cloister.Lock",
                                .basicsize = sizeof(SharedLock),
                                .itemsize = 0,
                                .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE |
                                         Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_MANAGED_WEAKREF,
                                .slots = slots};

}  // namespace cloister::sandbox
