#include "sandbox/guest/builtin_modules.h"

#include <cstring>

#include "sandbox/guest/messages/port_clones.h"
#include "sandbox/guest/notebook_source.h"
#include "sandbox/guest/python_object.h"
#include "sandbox/guest/shared/shared_types.h"

namespace cloister::sandbox {
namespace {

// A package, so that `cloister.figures` can be imported; it has no directory.
int RunPublic(PyObject* module) {
  PyRef path = PyRef::Steal(PyList_New(0));
  return path && PyObject_SetAttrString(module, "__path__", path.get()) == 0 &&
                 RunNotebookSource("public", "cloister", PyModule_GetDict(module))
             ? 0
             : -1;
}

int RunFigures(PyObject* module) {
  return RunNotebookSource("figures", "cloister.figures", PyModule_GetDict(module)) ? 0 : -1;
}

// What they call of ours keeps its state by interpreter.
PyModuleDef_Slot public_slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(RunPublic)},
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
    {0, nullptr}};
PyModuleDef_Slot figures_slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(RunFigures)},
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
    {0, nullptr}};

PyModuleDef Define(const char* name, PyModuleDef_Slot* slots) {
  PyModuleDef definition = {};
  definition.m_base = PyModuleDef_HEAD_INIT;
  definition.m_name = name;
  definition.m_slots = slots;
  return definition;
}

PyObject* InitPublic() {
  static PyModuleDef definition = Define("cloister", public_slots);
  return PyModuleDef_Init(&definition);
}

PyObject* InitFigures() {
  static PyModuleDef definition = Define("cloister.figures", figures_slots);
  return PyModuleDef_Init(&definition);
}

// ---- modules that make interpreters -------------------------------------------------------------

// What the standard library and its tests make interpreters with. A program that did so would be
// beyond the account of memory and the reach of interrupts, and a process with one crashes when it
// is forked.
constexpr const char* kRefusedModules[] = {"_interpreters", "_interpqueues", "_interpchannels",
                                           "_testcapi", "_testinternalcapi"};

int RefuseModule(PyObject* module) {
  PyRef name = PyRef::Steal(PyModule_GetNameObject(module));
  PyRef message = PyRef::Steal(
      name ? PyUnicode_FromFormat("module %U is not offered here: programs make no interpreters by "
                                  "themselves, their clients do, with CreateInterpreter of "
                                  "cloister.v1.InterpreterService",
                                  name.get())
           : nullptr);
  if (message) PyErr_SetImportError(message.get(), name.get(), nullptr);
  return -1;
}

PyModuleDef_Slot refusing_slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(RefuseModule)},
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
    {0, nullptr}};

PyObject* InitRefused() {
  static PyModuleDef definition = Define("refused", refusing_slots);
  return PyModuleDef_Init(&definition);
}

// Builtin modules are found before those of files.
bool RefuseModules() {
  for (const char* name : kRefusedModules) {
    _inittab* entry = PyImport_Inittab;
    while (entry->name != nullptr && strcmp(entry->name, name) != 0) ++entry;
    if (entry->name != nullptr) {
      entry->initfunc = InitRefused;
    } else if (PyImport_AppendInittab(name, InitRefused) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool AddBuiltinModules() {
  AddSharedHandles();
  AddPortClones();
  return PyImport_AppendInittab("cloister", InitPublic) == 0 &&
         PyImport_AppendInittab("cloister.figures", InitFigures) == 0 && RefuseModules();
}

}  // namespace cloister::sandbox
