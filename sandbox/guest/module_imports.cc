#include "sandbox/guest/module_imports.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kMaxMessageBytes = size_t{4} << 10;
constexpr size_t kMaxTypeBytes = 256;
constexpr int kMaxChain = 16;
constexpr char kRefusal[] = "does not support loading in subinterpreters";

std::string TextOf(PyObject* exception) {
  PyRef text = PyRef::Steal(PyObject_Str(exception));
  if (!text) PyErr_Clear();
  return ToUtf8(text.get(), kMaxMessageBytes - kMaxTypeBytes - 2, Cut::kEnd);
}

std::string Describe(PyObject* exception) {
  PyRef name = PyRef::Steal(PyType_GetQualName(Py_TYPE(exception)));
  if (!name) PyErr_Clear();
  const std::string type = ToUtf8(name.get(), kMaxTypeBytes, Cut::kEnd);
  const std::string text = TextOf(exception);
  return text.empty() ? type : absl::StrCat(type, ": ", text);
}

bool IsRefusal(PyObject* exception) {
  return PyErr_GivenExceptionMatches(exception, PyExc_ImportError) != 0 &&
         absl::StrContains(TextOf(exception), kRefusal);
}

// Itself or what it came of: packages like numpy raise an error of their own about it.
bool ComesOfRefusal(PyObject* exception) {
  PyRef one = PyRef::Borrow(exception);
  for (int depth = 0; one && depth < kMaxChain; ++depth) {
    if (IsRefusal(one.get())) return true;
    PyRef cause = PyRef::Steal(PyException_GetCause(one.get()));
    one = cause ? std::move(cause) : PyRef::Steal(PyException_GetContext(one.get()));
  }
  return false;
}

constexpr char kIsolatedNote[] =
    "This interpreter is isolated (it has a GIL of its own), which takes a module that declares "
    "that it can. "
    "Interpreters of profile `process` and `main` load every module; one of profile `shared_gil` "
    "loads more "
    "than this one.";
constexpr char kSharedNote[] =
    "This interpreter shares its GIL with others in its process. Interpreters of profile `process` "
    "and `main` "
    "load every module.";

// _imp.create_dynamic and create_builtin; `self` is (original, note).
PyObject* CreateModule(PyObject* self, PyObject* arguments) {
  PyObject* module = PyObject_CallObject(PyTuple_GET_ITEM(self, 0), arguments);
  if (module != nullptr || PyErr_ExceptionMatches(PyExc_ImportError) == 0) return module;
  PyRef exception = PyRef::Steal(PyErr_GetRaisedException());
  if (IsRefusal(exception.get())) {
    PyRef added = PyRef::Steal(
        PyObject_CallMethod(exception.get(), "add_note", "O", PyTuple_GET_ITEM(self, 1)));
    if (!added) PyErr_Clear();
  }
  PyErr_SetRaisedException(exception.release());
  return nullptr;
}

PyObject* RefuseOverride(PyObject*, PyObject*) {
  PyErr_SetString(
      PyExc_RuntimeError,
      "modules that do not declare that they can be loaded here would corrupt memory: use an "
      "interpreter of profile `process` or `main` for them");
  return nullptr;
}

PyMethodDef create_dynamic = {"create_dynamic", CreateModule, METH_VARARGS, nullptr};
PyMethodDef create_builtin = {"create_builtin", CreateModule, METH_VARARGS, nullptr};
PyMethodDef refuse_override = {"_override_multi_interp_extensions_check", RefuseOverride,
                               METH_VARARGS, nullptr};

bool Explain(PyObject* imp, PyMethodDef* definition, const char* note) {
  PyRef original = PyRef::Steal(PyObject_GetAttrString(imp, definition->ml_name));
  PyRef self = PyRef::Steal(original ? Py_BuildValue("Os", original.get(), note) : nullptr);
  PyRef function = PyRef::Steal(self ? PyCFunction_New(definition, self.get()) : nullptr);
  return function && PyObject_SetAttrString(imp, definition->ml_name, function.get()) == 0;
}

}  // namespace

bool ImportModules(const google::protobuf::RepeatedPtrField<std::string>& modules,
                   internal::v1::ImportFailed* failed) {
  for (const std::string& name : modules) {
    PyRef module = PyRef::Steal(PyImport_ImportModule(name.c_str()));
    if (module) continue;
    PyRef exception = PyRef::Steal(PyErr_GetRaisedException());
    failed->set_module(name);
    failed->set_message(Describe(exception.get()));
    failed->set_is_refused_by_profile(ComesOfRefusal(exception.get()));
    return false;
  }
  return true;
}

bool ExplainRefusedImports(bool is_isolated) {
  const char* note = is_isolated ? kIsolatedNote : kSharedNote;
  PyRef imp = PyRef::Steal(PyImport_ImportModule("_imp"));
  if (!imp || !Explain(imp.get(), &create_dynamic, note) ||
      !Explain(imp.get(), &create_builtin, note)) {
    return false;
  }
  PyRef refusal = PyRef::Steal(PyCFunction_New(&refuse_override, nullptr));
  return refusal && PyObject_SetAttrString(imp.get(), refuse_override.ml_name, refusal.get()) == 0;
}

}  // namespace cloister::sandbox
