#include "sandbox/guest/shared/shared_buffer.h"

#include <new>
#include <string>
#include <utility>

#include "sandbox/guest/shared/atomic_methods.h"
#include "sandbox/guest/shared/heap_type.h"
#include "sandbox/guest/shared/shared_types.h"

namespace cloister::sandbox {
namespace {

SharedBufferState& StateOf(PyObject* self) { return AsSharedBuffer(self)->state; }

// An object without memory yet.
PyRef NewObject() {
  PyTypeObject* type = GetSharedClass(SharedClass::kBuffer);
  PyRef self = PyRef::Steal(type == nullptr ? nullptr : type->tp_alloc(type, 0));
  if (self) new (&StateOf(self.get())) SharedBufferState;
  return self;
}

// Of a file that was made or checked.
PyRef NewBuffer(OpenDescriptor file, uint64_t offset, uint64_t size, SharedMemory::Access access,
                bool is_owner) {
  MemoryAccount* account = is_owner ? CurrentAccount() : nullptr;
  if (account != nullptr && !account->MayTake(size)) return PyRef::Steal(PyErr_NoMemory());
  auto memory = SharedMemory::Map(std::move(file), offset, size, access);
  if (!memory.ok()) return PyRef::Steal(RaiseStatus(memory.status()));
  PyRef self = NewObject();
  if (self) StateOf(self.get()).Adopt(*std::move(memory), is_owner);
  return self;
}

PyObject* New(PyTypeObject*, PyObject* arguments, PyObject* names) {
  static const char* const keywords[] = {"size", nullptr};
  Py_ssize_t size;
  if (!PyArg_ParseTupleAndKeywords(arguments, names, "n:SharedBuffer", const_cast<char**>(keywords),
                                   &size)) {
    return nullptr;
  }
  if (size <= 0) {
    PyErr_SetString(PyExc_ValueError, "a SharedBuffer has one byte at least");
    return nullptr;
  }
  auto file = MakeSharedFile(kSharedBufferName, static_cast<size_t>(size));
  if (!file.ok()) return RaiseStatus(file.status());
  return NewSharedBuffer(*std::move(file), static_cast<uint64_t>(size)).release();
}

// ---- methods ------------------------------------------------------------------------------------

PyObject* Close(PyObject* self, PyObject*) {
  return StateOf(self).Close() ? Py_NewRef(Py_None) : nullptr;
}

PyObject* Enter(PyObject* self, PyObject*) {
  return StateOf(self).memory() == nullptr ? nullptr : Py_NewRef(self);
}

PyObject* Exit(PyObject* self, PyObject* arguments) {
  if (StateOf(self).Close()) return Py_NewRef(Py_None);
  // What ended the block is what is to be seen; its frames may hold the views.
  const bool has_failed =
      PyTuple_GET_SIZE(arguments) > 0 && PyTuple_GET_ITEM(arguments, 0) != Py_None;
  if (!has_failed) return nullptr;
  PyErr_Clear();
  return Py_NewRef(Py_None);
}

PyObject* ReadOnly(PyObject* self, PyObject*) {
  SharedBufferState& state = StateOf(self);
  if (!state.BeginUse()) return nullptr;
  const SharedMemory& memory = *state.peek();
  PyRef shown = NewBuffer(memory.descriptor(), memory.offset(), memory.size(),
                          SharedMemory::Access::kReadOnly, false);
  state.EndUse();
  return shown.release();
}

int IsOpen(PyObject* self) { return StateOf(self).peek() != nullptr ? 1 : 0; }

Py_ssize_t Length(PyObject* self) {
  const SharedMemory* memory = StateOf(self).memory();
  return memory == nullptr ? -1 : static_cast<Py_ssize_t>(memory->size());
}

PyObject* GetSize(PyObject* self, void*) {
  const Py_ssize_t size = Length(self);
  return size < 0 ? nullptr : PyLong_FromSsize_t(size);
}

PyObject* GetReadOnly(PyObject* self, void*) {
  const SharedMemory* memory = StateOf(self).memory();
  return memory == nullptr ? nullptr : PyBool_FromLong(memory->is_read_only() ? 1 : 0);
}

PyObject* GetClosed(PyObject* self, void*) {
  return PyBool_FromLong(StateOf(self).peek() == nullptr ? 1 : 0);
}

PyObject* Repr(PyObject* self) {
  const SharedBufferState& state = StateOf(self);
  if (state.peek() == nullptr) {
    return PyUnicode_FromFormat("<cloister.SharedBuffer, %s>", state.ending());
  }
  return PyUnicode_FromFormat("<cloister.SharedBuffer of %zu bytes%s>", state.peek()->size(),
                              state.peek()->is_read_only() ? ", read-only" : "");
}

// ---- views --------------------------------------------------------------------------------------

int GetBuffer(PyObject* self, Py_buffer* view, int flags) {
  SharedBufferState& state = StateOf(self);
  view->obj = nullptr;
  if (!state.BeginUse()) return -1;
  const SharedMemory& memory = *state.peek();
  if (PyBuffer_FillInfo(view, self, memory.data(), static_cast<Py_ssize_t>(memory.size()),
                        memory.is_read_only() ? 1 : 0, flags) == 0) {
    return 0;
  }
  state.EndUse();
  return -1;
}

void ReleaseBuffer(PyObject* self, Py_buffer*) { StateOf(self).EndUse(); }

// ---- messages -----------------------------------------------------------------------------------

bool Owns(PyTypeObject* type) { return IsSharedClass(type, SharedClass::kBuffer); }

bool Describe(PyObject* self, CloneHandle* handle, std::string* problem) {
  const SharedBufferState& state = StateOf(self);
  const SharedMemory* memory = state.peek();
  if (memory == nullptr) {
    *problem = std::string("SharedBuffer that was ") + state.ending() + " cannot be cloned";
    return false;
  }
  if (state.is_leaving() && !handle->is_handed_over) {
    *problem = "SharedBuffer that is being transferred cannot be cloned";
    return false;
  }
  handle->is_read_only = memory->is_read_only();
  handle->offset = memory->offset();
  handle->size = memory->size();
  handle->descriptors.push_back(memory->descriptor());
  return true;
}

PyRef Make(CloneHandle handle) {
  const absl::Status status =
      CheckSharedFile(handle.descriptors.front()->get(), handle.offset, handle.size);
  if (!status.ok()) return PyRef::Steal(RaiseStatus(status));
  return NewBuffer(
      std::move(handle.descriptors.front()), handle.offset, handle.size,
      handle.is_read_only ? SharedMemory::Access::kReadOnly : SharedMemory::Access::kReadWrite,
      handle.is_handed_over);
}

bool BeginHandover(PyObject* self) { return StateOf(self).BeginHandover(); }
void EndHandover(PyObject* self, bool was_sent) { StateOf(self).EndHandover(was_sent); }

// ---- type ---------------------------------------------------------------------------------------

PyMethodDef methods[] = {
    {"close", Close, METH_NOARGS,
     "Lets go of the memory. BufferError while views of it exist, or waits on it."},
    {"read_only", ReadOnly, METH_NOARGS,
     "One more object of the same memory, which refuses to be written to."},
    {"from_file", SharedBufferFromFile, METH_O | METH_CLASS,
     "from_file(path): a new one with the content of a file, which is copied by the kernel alone."},
    {"save", SharedBufferSave, METH_O,
     "save(path): writes its content to a file, which is replaced, by the kernel alone."},
    {"atomic_load", AsMethod(AtomicLoad), METH_VARARGS | METH_KEYWORDS,
     "atomic_load(offset, width=8): the word there."},
    {"atomic_store", AsMethod(AtomicStore), METH_VARARGS | METH_KEYWORDS,
     "atomic_store(offset, value, width=8)"},
    {"atomic_exchange", AsMethod(AtomicExchange), METH_VARARGS | METH_KEYWORDS,
     "atomic_exchange(offset, value, width=8): what was there before."},
    {"atomic_compare_exchange", AsMethod(AtomicCompareExchange), METH_VARARGS | METH_KEYWORDS,
     "atomic_compare_exchange(offset, expected, value, width=8): what was there before; the value "
     "was stored if that is `expected`."},
    {"atomic_add", AsMethod(AtomicAdd), METH_VARARGS | METH_KEYWORDS,
     "atomic_add(offset, value, width=8): what was there before."},
    {"atomic_sub", AsMethod(AtomicSub), METH_VARARGS | METH_KEYWORDS,
     "atomic_sub(offset, value, width=8): what was there before."},
    {"atomic_and", AsMethod(AtomicAnd), METH_VARARGS | METH_KEYWORDS,
     "atomic_and(offset, value, width=8): what was there before."},
    {"atomic_or", AsMethod(AtomicOr), METH_VARARGS | METH_KEYWORDS,
     "atomic_or(offset, value, width=8): what was there before."},
    {"atomic_xor", AsMethod(AtomicXor), METH_VARARGS | METH_KEYWORDS,
     "atomic_xor(offset, value, width=8): what was there before."},
    {"atomic_wait", AsMethod(AtomicWait), METH_VARARGS | METH_KEYWORDS,
     "atomic_wait(offset, expected, timeout=None): waits while the word of 4 bytes there is "
     "`expected`, until atomic_notify() wakes it. False where the time was over. Who wakes others "
     "changes the word before."},
    {"atomic_notify", AsMethod(AtomicNotify), METH_VARARGS | METH_KEYWORDS,
     "atomic_notify(offset, count=1): wakes so many of those who wait there, None for all; how "
     "many."},
    {"__enter__", Enter, METH_NOARGS, nullptr},
    {"__exit__", Exit, METH_VARARGS, nullptr},
    {}};
PyGetSetDef properties[] = {
    {"size", GetSize, nullptr, "How many bytes it has.", nullptr},
    {"readonly", GetReadOnly, nullptr, "Whether it refuses to be written to.", nullptr},
    {"closed", GetClosed, nullptr, "Whether it was closed or transferred.", nullptr},
    {}};
constexpr char kDocumentation[] =
    "SharedBuffer(size)\n--\n\n"
    "Memory that interpreters and processes of a sandbox share. memoryview(buffer) and\n"
    "numpy.frombuffer(buffer, ...) see it without a copy. Sent in a message, it is the same memory "
    "there;\nin `transfer` as well, it is detached here. It is true until it is closed. Its size "
    "is "
    "bounded as that of a\nfile (file_bytes). Methods atomic_* work on whole words, which are "
    "unsigned and wrap around.";
PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>(kDocumentation)},
                       {Py_tp_new, AsSlot(New)},
                       {Py_tp_dealloc, AsSlot(DeallocateWithState<SharedBuffer>)},
                       {Py_tp_traverse, AsSlot(TraverseType)},
                       {Py_tp_repr, AsSlot(Repr)},
                       {Py_mp_length, AsSlot(Length)},
                       {Py_nb_bool, AsSlot(IsOpen)},
                       {Py_bf_getbuffer, AsSlot(GetBuffer)},
                       {Py_bf_releasebuffer, AsSlot(ReleaseBuffer)},
                       {Py_tp_methods, methods},
                       {Py_tp_getset, properties},
                       {0, nullptr}};

}  // namespace

PyRef NewSharedBuffer(OpenDescriptor file, uint64_t size) {
  return NewBuffer(std::move(file), 0, size, SharedMemory::Access::kReadWrite, true);
}

PyType_Spec shared_buffer_spec = {.name = "cloister.SharedBuffer",
                                  .basicsize = sizeof(SharedBuffer),
                                  .itemsize = 0,
                                  .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE |
                                           Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_MANAGED_WEAKREF,
                                  .slots = slots};

const CloneHandleType shared_buffer_handles = {.kind = CloneKind::kSharedBuffer,
                                               .owns = Owns,
                                               .describe = Describe,
                                               .make = Make,
                                               .begin_handover = BeginHandover,
                                               .end_handover = EndHandover};

}  // namespace cloister::sandbox
