#include "sandbox/guest/python_source.h"

#include <marshal.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace cloister::sandbox {
namespace {

// What main has compiled, in the form of .pyc files: other interpreters cannot use its objects, and
// reading this takes a tenth of compiling it again. Changed by the zygote only.
struct Compiled {
  const char* source;
  std::string code;
};
std::vector<Compiled>& compiled = *new std::vector<Compiled>;

// False with a Python exception set.
bool Keep(const char* source, PyObject* code) {
  PyRef bytes = PyRef::Steal(PyMarshal_WriteObjectToString(code, Py_MARSHAL_VERSION));
  if (!bytes) return false;
  compiled.push_back({source, std::string(PyBytes_AS_STRING(bytes.get()),
                                          static_cast<size_t>(PyBytes_GET_SIZE(bytes.get())))});
  return true;
}

}  // namespace

PyRef LoadSource(const char* source, const char* name) { return LoadSource(source, name, nullptr); }

PyRef LoadSource(const char* source, const char* name, PyObject* names) {
  PyRef globals = PyRef::Steal(PyDict_New());
  if (!globals) return PyRef();
  if (names != nullptr && PyDict_Update(globals.get(), names) != 0) return PyRef();
  PyRef code = CompileSource(source, name);
  return code && RunSource(code.get(), name, globals.get()) ? std::move(globals) : PyRef();
}

PyRef CompileSource(const char* source, const char* name) {
  const bool is_main = PyInterpreterState_Get() == PyInterpreterState_Main();
  if (!is_main) {
    for (const Compiled& one : compiled) {
      if (one.source != source) continue;
      return PyRef::Steal(PyMarshal_ReadObjectFromString(one.code.data(),
                                                         static_cast<Py_ssize_t>(one.code.size())));
    }
  }
  const std::string file_name = absl::StrCat("<cloister ", name, ">");
  PyRef code = PyRef::Steal(Py_CompileString(source, file_name.c_str(), Py_file_input));
  return is_main && code && !Keep(source, code.get()) ? PyRef() : std::move(code);
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
