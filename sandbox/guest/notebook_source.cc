#include "sandbox/guest/notebook_source.h"

#include <cstring>
#include <iterator>
#include <string>
#include <utility>

#include "sandbox/guest/cell_context.h"
#include "sandbox/guest/clone/clone_c_api.h"
#include "sandbox/guest/clone/clone_functions.h"
#include "sandbox/guest/interpreter_local.h"
#include "sandbox/guest/interruptible_waits.h"
#include "sandbox/guest/messages/message_functions.h"
#include "sandbox/guest/mime_bundle.h"
#include "sandbox/guest/python_source.h"
#include "sandbox/guest/question.h"
#include "sandbox/guest/shared/shared_types.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;

constexpr size_t kMaxDisplayIdBytes = 128;

struct Source {
  const char* name;
  const char* text;
};

constexpr Source kSources[] = {
    {"calls", kCallsSource},
    {"cell", kCellSource},
    {"clone", kCloneSource},
    {"completeness", kCompletenessSource},
    {"completion", kCompletionSource},
    {"event_loop", kEventLoopSource},
    {"figures", kFiguresSource},
    {"further", kFurtherSource},
    {"imports", kImportsSource},
    {"inspection", kInspectionSource},
    {"lookup", kLookupSource},
    {"message_waits", kMessageWaitsSource},
    {"messages", kMessagesSource},
    {"mime", kMimeSource},
    {"pool", kPoolSource},
    {"pool_futures", kPoolFuturesSource},
    {"pool_worker", kPoolWorkerSource},
    {"pool_workers", kPoolWorkersSource},
    {"public", kPublicSource},
    {"queues", kQueuesSource},
    {"shared", kSharedSource},
    {"source_scan", kSourceScanSource},
    {"waits", kWaitsSource},
};

constexpr size_t kSourceCount = std::size(kSources);

struct Loaded {
  PyRef shared_names;
  PyRef idle_function;
  FrameSender* sender = nullptr;
  PyRef code[kSourceCount];
  PyRef names[kSourceCount];  // of those that have run
};
const InterpreterLocal<Loaded> here;

// kSourceCount, with a Python exception set, where there is none.
size_t FindSource(const char* name) {
  for (size_t i = 0; i < kSourceCount; ++i) {
    if (strcmp(kSources[i].name, name) == 0) return i;
  }
  PyErr_Format(PyExc_ImportError, "no part of Cloister is called %s", name);
  return kSourceCount;
}

// Where it is not compiled yet, as in interpreters other than main: they need few of them.
PyObject* CodeOf(size_t source) {
  PyRef& code = here->code[source];
  if (!code) code = CompileSource(kSources[source].text, kSources[source].name);
  return code.get();
}

// ---- what Python calls --------------------------------------------------------------------------

PyObject* Load(PyObject*, PyObject* name) {
  const char* text = PyUnicode_AsUTF8(name);
  return text == nullptr ? nullptr : LoadNotebookSource(text).release();
}

PyObject* InSession(PyObject*, PyObject*) { return PyBool_FromLong(here->sender != nullptr); }

// To the host, for the caller's cell.
PyObject* SendFrame(const GuestFrame& frame) {
  const absl::Status status = here->sender->Send(frame, FrameSender::OnSignal::kRunHandlers);
  if (status.ok()) return Py_NewRef(Py_None);
  if (PyErr_Occurred() == nullptr) {
    PyErr_SetString(PyExc_OSError, std::string(status.message()).c_str());
  }
  return nullptr;
}

bool HasHost() {
  if (here->sender != nullptr && CellOfCaller() != 0) return true;
  PyErr_SetString(PyExc_RuntimeError, "no cell has run yet");
  return false;
}

PyObject* SendDisplay(PyObject*, PyObject* arguments) {
  PyObject* description;
  PyObject* display_id;
  int is_update;
  if (!PyArg_ParseTuple(arguments, "OUp:send_display", &description, &display_id, &is_update) ||
      !HasHost()) {
    return nullptr;
  }
  bool is_cut = false;
  GuestFrame frame;
  frame.mutable_display()->set_cell(CellOfCaller());
  v1::DisplayData* data = frame.mutable_display()->mutable_data();
  data->set_display_id(ToUtf8(display_id, kMaxDisplayIdBytes, Cut::kEnd, &is_cut));
  if (is_cut) {
    PyErr_Format(PyExc_ValueError, "display_id has at most %zu bytes", kMaxDisplayIdBytes);
    return nullptr;
  }
  if (is_update != 0 && data->display_id().empty()) {
    PyErr_SetString(PyExc_ValueError, "an update names what it updates");
    return nullptr;
  }
  data->set_is_update(is_update != 0);
  FillBundle(description, data->mutable_bundle());
  return SendFrame(frame);
}

PyObject* SendClearOutput(PyObject*, PyObject* wait) {
  if (!HasHost()) return nullptr;
  GuestFrame frame;
  frame.mutable_clear_output()->set_cell(CellOfCaller());
  frame.mutable_clear_output()->mutable_clear_output()->set_wait(wait == Py_True);
  return SendFrame(frame);
}

PyObject* SetIdle(PyObject*, PyObject* function) {
  here->idle_function = PyRef::Borrow(function);
  return Py_NewRef(Py_None);
}

PyObject* IsMainInterpreter(PyObject*, PyObject*) {
  return PyBool_FromLong(PyInterpreterState_Get() == PyInterpreterState_Main());
}

PyMethodDef functions[] = {
    {"clone_value", CloneValue, METH_O, nullptr},
    {"encode_clone", EncodeCloneValue, METH_O, nullptr},
    {"decode_clone", DecodeCloneValue, METH_O, nullptr},
    {"encode_handles", EncodeHandles, METH_VARARGS, nullptr},
    {"decode_handles", DecodeHandles, METH_VARARGS, nullptr},
    {"register_clone", RegisterClone, METH_VARARGS, nullptr},
    {"clone_c_api", CloneCApi, METH_NOARGS, nullptr},
    {"shared_class", SharedClassByName, METH_O, nullptr},
    {"message_functions", MessageFunctions, METH_NOARGS, nullptr},
    {"is_main_interpreter", IsMainInterpreter, METH_NOARGS, nullptr},
    {"load", Load, METH_O, nullptr},
    {"in_session", InSession, METH_NOARGS, nullptr},
    {"send_display", SendDisplay, METH_VARARGS, nullptr},
    {"send_clear_output", SendClearOutput, METH_O, nullptr},
    {"set_idle", SetIdle, METH_O, nullptr},
};

bool AddName(PyObject* names, const char* name, PyRef value) {
  return value && PyDict_SetItemString(names, name, value.get()) == 0;
}

}  // namespace

bool SetUpNotebookSources(PyObject* names) {
  PyRef& shared = here->shared_names;
  shared = PyRef::Steal(PyDict_Copy(names));
  if (!shared) return false;
  for (PyMethodDef& function : functions) {
    PyRef object = PyRef::Steal(PyCFunction_New(&function, nullptr));
    if (!AddName(shared.get(), function.ml_name, std::move(object))) return false;
  }
  if (PyInterpreterState_Get() == PyInterpreterState_Main()) {
    for (size_t i = 0; i < kSourceCount; ++i) {
      if (CodeOf(i) == nullptr) return false;
    }
  }
  PyRef wait_ready = PyRef::Steal(PyCFunction_New(&wait_ready_method, nullptr));
  if (!AddName(shared.get(), "wait_ready", std::move(wait_ready))) return false;
  return AddName(shared.get(), "getpass", PyRef::Steal(NewGetPass()));
}

void ConnectNotebookSources(FrameSender* sender) { here->sender = sender; }

PyRef LoadNotebookSource(const char* name) {
  const size_t source = FindSource(name);
  if (source == kSourceCount) return PyRef();
  PyRef& loaded = here->names[source];
  if (loaded) return PyRef::Borrow(loaded.get());
  PyRef names = PyRef::Steal(here->shared_names ? PyDict_Copy(here->shared_names.get()) : nullptr);
  PyObject* code = names ? CodeOf(source) : nullptr;
  if (code == nullptr || !RunSource(code, kSources[source].name, names.get())) return PyRef();
  // Another thread may have been as fast.
  if (!loaded) loaded = std::move(names);
  return PyRef::Borrow(loaded.get());
}

bool RunNotebookSource(const char* name, const char* module_name, PyObject* module_names) {
  const size_t source = FindSource(name);
  if (source == kSourceCount || !here->shared_names) return false;
  for (const PyMethodDef& function : functions) {
    PyObject* object = PyDict_GetItemString(here->shared_names.get(), function.ml_name);
    const std::string private_name = std::string("_") + function.ml_name;
    if (PyDict_SetItemString(module_names, private_name.c_str(), object) != 0) return false;
  }
  PyObject* code = CodeOf(source);
  return code != nullptr && RunSource(code, module_name, module_names);
}

PyObject* IdleFunction() { return here->idle_function.get(); }

}  // namespace cloister::sandbox
