#include "sandbox/guest/notebook_source.h"

#include <cstring>
#include <string>
#include <utility>

#include "sandbox/guest/cell_context.h"
#include "sandbox/guest/mime_bundle.h"
#include "sandbox/guest/python_source.h"
#include "sandbox/guest/question.h"

namespace cloister::sandbox {
namespace {

using internal::v1::GuestFrame;

constexpr size_t kMaxDisplayIdBytes = 128;

struct Source {
  const char* name;
  const char* text;
  PyObject* code = nullptr;    // for ever, as its namespace
  PyObject* loaded = nullptr;  // its namespace
};

Source sources[] = {
    {"cell", kCellSource},
    {"completeness", kCompletenessSource},
    {"completion", kCompletionSource},
    {"event_loop", kEventLoopSource},
    {"figures", kFiguresSource},
    {"imports", kImportsSource},
    {"inspection", kInspectionSource},
    {"lookup", kLookupSource},
    {"mime", kMimeSource},
    {"public", kPublicSource},
    {"source_scan", kSourceScanSource},
};

PyObject* shared_names = nullptr;
PyObject* idle_function = nullptr;
FrameSender* sender = nullptr;

Source* FindSource(const char* name) {
  for (Source& source : sources) {
    if (strcmp(source.name, name) == 0) return &source;
  }
  PyErr_Format(PyExc_ImportError, "no part of Cloister is called %s", name);
  return nullptr;
}

// ---- what Python calls --------------------------------------------------------------------------

PyObject* Load(PyObject*, PyObject* name) {
  const char* text = PyUnicode_AsUTF8(name);
  return text == nullptr ? nullptr : LoadNotebookSource(text).release();
}

PyObject* InSession(PyObject*, PyObject*) {
  const bool is_main = PyInterpreterState_Get() == PyInterpreterState_Main();
  return PyBool_FromLong(sender != nullptr && is_main);
}

// To the host, for the caller's cell.
PyObject* SendFrame(const GuestFrame& frame) {
  const absl::Status status = sender->Send(frame, FrameSender::OnSignal::kRunHandlers);
  if (status.ok()) return Py_NewRef(Py_None);
  if (PyErr_Occurred() == nullptr) {
    PyErr_SetString(PyExc_OSError, std::string(status.message()).c_str());
  }
  return nullptr;
}

bool HasHost() {
  if (sender != nullptr && CellOfCaller() != 0) return true;
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
  Py_XSETREF(idle_function, Py_NewRef(function));
  return Py_NewRef(Py_None);
}

PyMethodDef functions[] = {
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
  shared_names = PyDict_Copy(names);
  if (shared_names == nullptr) return false;
  for (PyMethodDef& function : functions) {
    PyRef object = PyRef::Steal(PyCFunction_New(&function, nullptr));
    if (!AddName(shared_names, function.ml_name, std::move(object))) return false;
  }
  for (Source& source : sources) {
    source.code = CompileSource(source.text, source.name).release();
    if (source.code == nullptr) return false;
  }
  return AddName(shared_names, "getpass", PyRef::Steal(NewGetPass()));
}

void ConnectNotebookSources(FrameSender* frames) { sender = frames; }

PyRef LoadNotebookSource(const char* name) {
  Source* source = FindSource(name);
  if (source == nullptr) return PyRef();
  if (source->loaded != nullptr) return PyRef::Borrow(source->loaded);
  PyRef names = PyRef::Steal(PyDict_Copy(shared_names));
  if (!names || !RunSource(source->code, source->name, names.get())) return PyRef();
  // Another thread may have been as fast.
  if (source->loaded == nullptr) source->loaded = names.release();
  return PyRef::Borrow(source->loaded);
}

bool RunNotebookSource(const char* name, const char* module_name, PyObject* module_names) {
  const Source* source = FindSource(name);
  if (source == nullptr) return false;
  for (const PyMethodDef& function : functions) {
    PyObject* object = PyDict_GetItemString(shared_names, function.ml_name);
    const std::string private_name = std::string("_") + function.ml_name;
    if (PyDict_SetItemString(module_names, private_name.c_str(), object) != 0) return false;
  }
  return RunSource(source->code, module_name, module_names);
}

PyObject* IdleFunction() { return idle_function; }

}  // namespace cloister::sandbox
