// cloister.Condition: a lock, and a number that each notify() advances. Who waits notes the number,
// lets go of the lock, and waits for the number to be another: a notify() in between is not lost.

#include <climits>
#include <utility>

#include "sandbox/guest/shared/heap_type.h"
#include "sandbox/guest/shared/shared_lock.h"

namespace cloister::sandbox {
namespace {

RobustLock& LockOf(PyObject* self) { return *reinterpret_cast<SharedLock*>(self)->state.lock; }

PyObject* New(PyTypeObject*, PyObject* arguments, PyObject* names) {
  static const char* const keywords[] = {nullptr};
  if (!PyArg_ParseTupleAndKeywords(arguments, names, ":Condition", const_cast<char**>(keywords))) {
    return nullptr;
  }
  auto file = MakeSharedFile(shared_condition_spec.name, RobustLock::FileBytes());
  if (!file.ok()) return RaiseStatus(file.status());
  return NewSharedLock(SharedClass::kCondition, *std::move(file)).release();
}

bool CheckHeld(const RobustLock& lock, const char* what) {
  if (lock.IsHeldByCaller()) return true;
  PyErr_Format(PyExc_RuntimeError, "cannot %s on a condition that this thread has not acquired",
               what);
  return false;
}

// 1 when notified, 0 when the time is over; -1 with a Python exception set.
int WaitUntil(PyObject* self, Deadline deadline) {
  RobustLock& lock = LockOf(self);
  if (!CheckHeld(lock, "wait")) return -1;
  const uint32_t* word = lock.sequence();
  const uint32_t before = lock.LoadSequence();
  if (lock.Release() != RobustLock::Released::kYes) {
    PyErr_SetString(PyExc_RuntimeError, "somebody has written over the condition's lock");
    return -1;
  }
  Woken woken;
  const bool is_over = WaitInterruptibly(word, before, deadline, &woken);
  PyRef interrupt = PyRef::Steal(is_over ? nullptr : PyErr_GetRaisedException());
  // Another interrupt ends this as well, without the lock, which LockExit() knows: a holder that
  // never lets go of it must not keep the program from being ended.
  const Acquired acquired = AcquireLock(lock, kNever);
  if (interrupt) {
    PyErr_SetRaisedException(interrupt.release());
    return -1;
  }
  return acquired != Acquired::kYes ? -1 : woken == Woken::kSliceIsOver ? 0 : 1;
}

bool ParseTimeout(PyObject* arguments, PyObject* names, Deadline* deadline) {
  static const char* const keywords[] = {"timeout", nullptr};
  PyObject* timeout = nullptr;
  return PyArg_ParseTupleAndKeywords(arguments, names, "|O:wait", const_cast<char**>(keywords),
                                     &timeout) &&
         ToDeadline(timeout, deadline);
}

PyObject* Wait(PyObject* self, PyObject* arguments, PyObject* names) {
  Deadline deadline;
  if (!ParseTimeout(arguments, names, &deadline)) return nullptr;
  const int woken = WaitUntil(self, deadline);
  return woken < 0 ? nullptr : PyBool_FromLong(woken);
}

PyObject* WaitFor(PyObject* self, PyObject* arguments, PyObject* names) {
  static const char* const keywords[] = {"predicate", "timeout", nullptr};
  PyObject* predicate;
  PyObject* timeout = nullptr;
  Deadline deadline;
  if (!PyArg_ParseTupleAndKeywords(arguments, names, "O|O:wait_for", const_cast<char**>(keywords),
                                   &predicate, &timeout) ||
      !ToDeadline(timeout, &deadline) || !CheckHeld(LockOf(self), "wait")) {
    return nullptr;
  }
  for (;;) {
    PyRef result = PyRef::Steal(PyObject_CallNoArgs(predicate));
    const int is_true = result ? PyObject_IsTrue(result.get()) : -1;
    if (is_true < 0) return nullptr;
    if (is_true == 1 || (deadline != kNever && NextSlice(deadline) == 0)) return result.release();
    if (WaitUntil(self, deadline) < 0) return nullptr;
  }
}

PyObject* NotifySome(PyObject* self, int count) {
  RobustLock& lock = LockOf(self);
  if (!CheckHeld(lock, "notify")) return nullptr;
  if (count > 0) {
    lock.AdvanceSequence();
    FutexWake(lock.sequence(), count);
  }
  return Py_NewRef(Py_None);
}

PyObject* Notify(PyObject* self, PyObject* arguments, PyObject* names) {
  static const char* const keywords[] = {"n", nullptr};
  int count = 1;
  return PyArg_ParseTupleAndKeywords(arguments, names, "|i:notify", const_cast<char**>(keywords),
                                     &count)
             ? NotifySome(self, count)
             : nullptr;
}

PyObject* NotifyAll(PyObject* self, PyObject*) { return NotifySome(self, INT_MAX); }

PyMethodDef methods[] = {
    {"acquire", AsMethod(LockAcquire), METH_VARARGS | METH_KEYWORDS,
     "acquire(blocking=True, timeout=-1): whether its lock was acquired."},
    {"release", LockRelease, METH_NOARGS, "Lets the next one have its lock."},
    {"locked", LockIsLocked, METH_NOARGS, "Whether somebody has its lock."},
    {"wait", AsMethod(Wait), METH_VARARGS | METH_KEYWORDS,
     "wait(timeout=None): lets go of the lock, waits to be notified, and has it again. False where "
     "the time was over. May wake for no reason."},
    {"wait_for", AsMethod(WaitFor), METH_VARARGS | METH_KEYWORDS,
     "wait_for(predicate, timeout=None): waits until the predicate gives something true; what it "
     "gave last."},
    {"notify", AsMethod(Notify), METH_VARARGS | METH_KEYWORDS,
     "notify(n=1): wakes n of those who wait, at least."},
    {"notify_all", NotifyAll, METH_NOARGS, "Wakes all who wait."},
    {"__enter__", LockEnter, METH_NOARGS, nullptr},
    {"__exit__", LockExit, METH_VARARGS, nullptr},
    {}};
PyGetSetDef properties[] = {{"owner_died", LockOwnerDied, nullptr, "As of Lock.", nullptr}, {}};
constexpr char kDocumentation[] =
    "Condition()\n--\n\n"
    "What threads of all interpreters and processes of a sandbox wait for, with a lock of its own. "
    "As\nthreading.Condition, but that it takes no lock of others, and that wait() may return "
    "though "
    "another was\nmeant: use wait_for().";
PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>(kDocumentation)},
                       {Py_tp_new, AsSlot(New)},
                       {Py_tp_dealloc, AsSlot(DeallocateWithState<SharedLock>)},
                       {Py_tp_traverse, AsSlot(TraverseType)},
                       {Py_tp_repr, AsSlot(LockRepr)},
                       {Py_tp_methods, methods},
                       {Py_tp_getset, properties},
                       {0, nullptr}};

}  // namespace

PyType_Spec shared_condition_spec = {.name = "cloister.Condition",
                                     .basicsize = sizeof(SharedLock),
                                     .itemsize = 0,
                                     .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE |
                                              Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_MANAGED_WEAKREF,
                                     .slots = slots};

}  // namespace cloister::sandbox
