#include "sandbox/guest/python_source.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace cloister::sandbox {

PyRef LoadSource(const char* source, const char* name) { return LoadSource(source, name, nullptr); }

PyRef LoadSource(const char* source, const char* name, PyObject* names) {
  PyRef globals = PyRef::Steal(PyDict_New());
  if (!globals) return PyRef();
  if (names != nullptr && PyDict_Update(globals.get(), names) != 0) return PyRef();
  PyRef code = CompileSource(source, name);
  return code && RunSource(code.get(), name, globals.get()) ? std::move(globals) : PyRef();
}

PyRef CompileSource(const char* source, const char* name) {
  const std::string file_name = absl::StrCat("<cloister ", name, ">");
  return PyRef::Steal(Py_CompileString(source, file_name.c_str(), Py_file_input));
}

bool RunSource(PyObject* code, const char* name, PyObject* globals) {
  PyRef builtins = PyRef::Steal(PyDict_Copy(PyEval_GetBuiltins()));
  PyRef module_name = PyRef::Steal(PyUnicode_FromString(name));
  if (!builtins || !module_name ||
      PyDict_SetItemString(globals, "__builtins__", builtins.get()) != 0 ||
      PyDict_SetItemString(globals, "__name__", module_name.get()) != 0) {
    return false;
  }
  return static_cast<bool>(PyRef::Steal(PyEval_EvalCode(code, globals, globals)));
}

PyRef GetFunction(const PyRef& source_namespace, const char* name) {
  if (!source_namespace) return PyRef();
  PyObject* function = PyDict_GetItemString(source_namespace.get(), name);
  if (function == nullptr) PyErr_Format(PyExc_NameError, "no function %s", name);
  return PyRef::Borrow(function);
}

}  // namespace cloister::sandbox
