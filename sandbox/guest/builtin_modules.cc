#include "sandbox/guest/builtin_modules.h"

#include "sandbox/guest/notebook_source.h"
#include "sandbox/guest/python_object.h"

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

}  // namespace

bool AddBuiltinModules() {
  return PyImport_AppendInittab("cloister", InitPublic) == 0 &&
         PyImport_AppendInittab("cloister.figures", InitFigures) == 0;
}

}  // namespace cloister::sandbox
