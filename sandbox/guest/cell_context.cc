#include "sandbox/guest/cell_context.h"

#include <utility>

#include "sandbox/guest/interpreter_local.h"
#include "sandbox/guest/memory_account.h"

namespace cloister::sandbox {
namespace {

struct Cells {
  PyRef variable;
  int64_t foreground = 0;
  int64_t last = 0;
};
const InterpreterLocal<Cells> cells;

// Of a thread that a cell started; 0 in others, the main thread among them.
thread_local int64_t cell_of_thread = 0;

int64_t ToCell(PyObject* number) {
  const int64_t cell = PyLong_CheckExact(number) ? PyLong_AsLongLong(number) : 0;
  if (PyErr_Occurred() != nullptr) PyErr_Clear();
  return cell > 0 ? cell : 0;
}

// The cell in the caller's context, then in its thread.
int64_t InheritedCell(PyObject* variable) {
  PyRef saved = PyRef::Steal(PyErr_GetRaisedException());
  PyObject* value = nullptr;
  if (PyContextVar_Get(variable, nullptr, &value) != 0) PyErr_Clear();
  PyRef number = PyRef::Steal(value);
  const int64_t cell = number ? ToCell(number.get()) : 0;
  PyErr_SetRaisedException(saved.release());
  return cell != 0 ? cell : cell_of_thread;
}

// ---- threads ------------------------------------------------------------------------------------

// In the new thread. `self` is (cell, function, account).
PyObject* RunInThread(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                      PyObject* names) {
  cell_of_thread = ToCell(PyTuple_GET_ITEM(self, 0));
  EnterAccount(static_cast<MemoryAccount*>(PyLong_AsVoidPtr(PyTuple_GET_ITEM(self, 2))));
  return PyObject_Vectorcall(PyTuple_GET_ITEM(self, 1), arguments, static_cast<size_t>(count),
                             names);
}

template <typename Function>
PyCFunction AsMethod(Function function) {
  return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(function));
}

PyMethodDef run_in_thread = {"run_in_thread", AsMethod(RunInThread), METH_FASTCALL | METH_KEYWORDS,
                             nullptr};

// Starts a thread by the original function, `self`, with the first argument wrapped.
PyObject* StartThread(PyObject* self, PyObject* const* arguments, Py_ssize_t count,
                      PyObject* names) {
  const int64_t cell = CellOfCaller();
  MemoryAccount* account = CurrentAccount();
  if (count < 1 || (cell == 0 && account == nullptr) || !PyCallable_Check(arguments[0])) {
    return PyObject_Vectorcall(self, arguments, static_cast<size_t>(count), names);
  }
  PyRef what = PyRef::Steal(Py_BuildValue("LON", static_cast<long long>(cell), arguments[0],
                                          PyLong_FromVoidPtr(account)));
  PyRef wrapped = PyRef::Steal(what ? PyCFunction_New(&run_in_thread, what.get()) : nullptr);
  if (!wrapped) return nullptr;
  // Neither function has more than a handful of parameters.
  constexpr Py_ssize_t kMaxArguments = 8;
  const Py_ssize_t all = count + (names == nullptr ? 0 : PyTuple_GET_SIZE(names));
  if (all > kMaxArguments) {
    return PyObject_Vectorcall(self, arguments, static_cast<size_t>(count), names);
  }
  PyObject* changed[kMaxArguments];
  for (Py_ssize_t i = 0; i < all; ++i) changed[i] = arguments[i];
  changed[0] = wrapped.get();
  return PyObject_Vectorcall(self, changed, static_cast<size_t>(count), names);
}

// Kept by the functions made of it, in all interpreters.
PyMethodDef start_definitions[] = {
    {"start_new_thread", AsMethod(StartThread), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {"start_joinable_thread", AsMethod(StartThread), METH_FASTCALL | METH_KEYWORDS, nullptr}};

bool WrapStarter(PyObject* module, PyMethodDef* definition, PyObject* threading) {
  PyRef original = PyRef::Steal(PyObject_GetAttrString(module, definition->ml_name));
  if (!original) return false;
  CopyDocumentation(original.get(), definition);
  PyRef wrapper = PyRef::Steal(PyCFunction_New(definition, original.get()));
  if (!wrapper || PyObject_SetAttrString(module, definition->ml_name, wrapper.get()) != 0) {
    return false;
  }
  // What was imported before has a name of its own for it.
  if (threading == nullptr) return true;
  const std::string name = std::string("_") + definition->ml_name;
  return PyObject_HasAttrStringWithError(threading, name.c_str()) != 1 ||
         PyObject_SetAttrString(threading, name.c_str(), wrapper.get()) == 0;
}

}  // namespace

bool SetUpCellContext() {
  cells->variable = PyRef::Steal(PyContextVar_New("cell", nullptr));
  PyRef module = PyRef::Steal(PyImport_ImportModule("_thread"));
  PyRef name = PyRef::Steal(PyUnicode_FromString("threading"));
  if (!cells->variable || !module || !name) return false;
  PyRef threading = PyRef::Steal(PyImport_GetModule(name.get()));
  for (PyMethodDef& definition : start_definitions) {
    if (!WrapStarter(module.get(), &definition, threading.get())) return false;
  }
  return true;
}

PyObject* CellVariable() { return cells->variable.get(); }

void SetForegroundCell(int64_t cell) {
  cells->foreground = cell;
  if (cell != 0) cells->last = cell;
}

int64_t ForegroundCell() { return cells->foreground; }

int64_t CellOfCaller() {
  const Cells& here = *cells;
  const int64_t inherited = here.variable ? InheritedCell(here.variable.get()) : 0;
  if (inherited != 0) return inherited;
  return here.foreground != 0 ? here.foreground : here.last;
}

}  // namespace cloister::sandbox
