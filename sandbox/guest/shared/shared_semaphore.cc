// cloister.Semaphore: one word of shared memory, on which waits the one who finds it 0.

#include <new>
#include <utility>

#include "sandbox/guest/interrupts.h"
#include "sandbox/guest/shared/heap_type.h"
#include "sandbox/guest/shared/shared_lock.h"

namespace cloister::sandbox {
namespace {

constexpr uint32_t kMaxValue = 0x7FFFFFFF;

uint32_t* WordOf(PyObject* self) {
  const SharedMemory& memory = *reinterpret_cast<SharedSemaphore*>(self)->state.memory;
  return reinterpret_cast<uint32_t*>(memory.data());
}

uint32_t Load(const uint32_t* word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }

bool Exchange(uint32_t* word, uint32_t expected, uint32_t wanted) {
  return __atomic_compare_exchange_n(word, &expected, wanted, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST);
}

PyObject* New(PyTypeObject*, PyObject* arguments, PyObject* names) {
  static const char* const keywords[] = {"value", nullptr};
  Py_ssize_t value = 1;
  if (!PyArg_ParseTupleAndKeywords(arguments, names, "|n:Semaphore", const_cast<char**>(keywords),
                                   &value)) {
    return nullptr;
  }
  if (value < 0 || value > Py_ssize_t{kMaxValue}) {
    PyErr_SetString(PyExc_ValueError, "a semaphore's value is from 0 to 2**31 - 1");
    return nullptr;
  }
  auto file = MakeSharedFile(shared_semaphore_spec.name, RobustLock::FileBytes());
  if (!file.ok()) return RaiseStatus(file.status());
  PyRef self = NewSharedSemaphore(*std::move(file));
  if (self) *WordOf(self.get()) = static_cast<uint32_t>(value);
  return self.release();
}

Acquired AcquireUntil(PyObject* self, Deadline deadline) {
  uint32_t* word = WordOf(self);
  for (;;) {
    const uint32_t value = Load(word);
    if (value > 0) {
      if (Exchange(word, value, value - 1)) return Acquired::kYes;
      continue;
    }
    if (deadline == kNoWait) return Acquired::kNo;
    // One who is woken and dies before it has taken something leaves the others waiting: until the
    // end of their slice.
    if (CheckInterrupts() != 0) return Acquired::kFailed;
    const int64_t slice = NextSlice(deadline);
    if (slice == 0) return Acquired::kNo;
    Py_BEGIN_ALLOW_THREADS;
    FutexWait(word, 0, slice);
    Py_END_ALLOW_THREADS;
  }
}

PyObject* Acquire(PyObject* self, PyObject* arguments, PyObject* names) {
  Deadline deadline;
  if (!ParseAcquire(arguments, names, &deadline)) return nullptr;
  const Acquired acquired = AcquireUntil(self, deadline);
  return acquired == Acquired::kFailed ? nullptr : PyBool_FromLong(acquired == Acquired::kYes);
}

PyObject* ReleaseSome(PyObject* self, Py_ssize_t count) {
  if (count < 1 || count > Py_ssize_t{kMaxValue}) {
    PyErr_SetString(PyExc_ValueError, "n must be one or more, and below 2**31");
    return nullptr;
  }
  uint32_t* word = WordOf(self);
  const auto more = static_cast<uint32_t>(count);
  for (;;) {
    const uint32_t value = Load(word);
    if (value > kMaxValue || more > kMaxValue - value) {
      PyErr_SetString(PyExc_ValueError, "Semaphore was released too often");
      return nullptr;
    }
    if (Exchange(word, value, value + more)) break;
  }
  FutexWake(word, static_cast<int>(more));
  return Py_NewRef(Py_None);
}

PyObject* Release(PyObject* self, PyObject* arguments, PyObject* names) {
  static const char* const keywords[] = {"n", nullptr};
  Py_ssize_t count = 1;
  return PyArg_ParseTupleAndKeywords(arguments, names, "|n:release", const_cast<char**>(keywords),
                                     &count)
             ? ReleaseSome(self, count)
             : nullptr;
}

PyObject* Enter(PyObject* self, PyObject*) {
  return AcquireUntil(self, kNever) == Acquired::kYes ? Py_NewRef(self) : nullptr;
}

PyObject* Exit(PyObject* self, PyObject*) { return ReleaseSome(self, 1); }

PyObject* GetValue(PyObject* self, void*) { return PyLong_FromUnsignedLong(Load(WordOf(self))); }

PyObject* Repr(PyObject* self) {
  return PyUnicode_FromFormat("<cloister.Semaphore, value %u>", Load(WordOf(self)));
}

PyMethodDef methods[] = {
    {"acquire", AsMethod(Acquire), METH_VARARGS | METH_KEYWORDS,
     "acquire(blocking=True, timeout=-1): takes one, once there is one; whether it did."},
    {"release", AsMethod(Release), METH_VARARGS | METH_KEYWORDS,
     "release(n=1): gives n, and wakes as many who wait."},
    {"__enter__", Enter, METH_NOARGS, nullptr},
    {"__exit__", Exit, METH_VARARGS, nullptr},
    {}};
PyGetSetDef properties[] = {
    {"value", GetValue, nullptr, "How many there are at the moment.", nullptr}, {}};
constexpr char kDocumentation[] =
    "Semaphore(value=1)\n--\n\n"
    "A number that threads of all interpreters and processes of a sandbox take from and give back "
    "to. What a process took that\nhas died does not come back.";
PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>(kDocumentation)},
                       {Py_tp_new, AsSlot(New)},
                       {Py_tp_dealloc, AsSlot(DeallocateWithState<SharedSemaphore>)},
                       {Py_tp_traverse, AsSlot(TraverseType)},
                       {Py_tp_repr, AsSlot(Repr)},
                       {Py_tp_methods, methods},
                       {Py_tp_getset, properties},
                       {0, nullptr}};

}  // namespace

PyRef NewSharedSemaphore(OpenDescriptor file) {
  auto memory = SharedMemory::Map(std::move(file), 0, RobustLock::FileBytes(),
                                  SharedMemory::Access::kReadWrite);
  if (!memory.ok()) return PyRef::Steal(RaiseStatus(memory.status()));
  PyTypeObject* type = GetSharedClass(SharedClass::kSemaphore);
  PyRef self = PyRef::Steal(type == nullptr ? nullptr : type->tp_alloc(type, 0));
  if (self) {
    new (&reinterpret_cast<SharedSemaphore*>(self.get())->state)
        SharedSemaphore::State{*std::move(memory)};
  }
  return self;
}

PyType_Spec shared_semaphore_spec = {.name = "cloister.Semaphore",
                                     .basicsize = sizeof(SharedSemaphore),
                                     .itemsize = 0,
                                     .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE |
                                              Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_MANAGED_WEAKREF,
                                     .slots = slots};

}  // namespace cloister::sandbox
