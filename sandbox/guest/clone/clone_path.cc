#include "sandbox/guest/clone/clone_path.h"

#include <cstring>

namespace cloister::sandbox {
namespace {

constexpr size_t kMaxShownSteps = 24;
constexpr size_t kMaxDescriptionBytes = 64;
constexpr size_t kMaxNameBytes = 200;

bool IsSimple(PyTypeObject* type) {
  return type == &PyUnicode_Type || type == &PyLong_Type || type == &PyBool_Type ||
         type == &PyFloat_Type || type == &PyComplex_Type || type == &PyBytes_Type ||
         type == Py_TYPE(Py_None) || type == &PyEllipsis_Type;
}

// Whether repr() of it is soon made.
bool IsSmall(PyObject* object) {
  if (PyUnicode_CheckExact(object)) return PyUnicode_GET_LENGTH(object) <= 4096;
  if (PyBytes_CheckExact(object)) return PyBytes_GET_SIZE(object) <= 4096;
  return !PyLong_CheckExact(object) || PyUnstable_Long_IsCompact((PyLongObject*)object) ||
         PyLong_AsNativeBytes(object, nullptr, 0, -1) <= 64;
}

}  // namespace

std::string Describe(PyObject* object) {
  if (!IsSimple(Py_TYPE(object)) || !IsSmall(object)) return "<" + TypeName(Py_TYPE(object)) + ">";
  PyRef text = PyRef::Steal(PyObject_Repr(object));
  if (!text) PyErr_Clear();
  bool is_cut = false;
  std::string shown = ToUtf8(text.get(), kMaxDescriptionBytes, Cut::kEnd, &is_cut);
  return is_cut ? shown + "…" : shown;
}

std::string TypeModule(PyTypeObject* type) {
  if ((type->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0) {
    const char* dot = strrchr(type->tp_name, '.');
    return dot == nullptr ? "builtins"
                          : std::string(type->tp_name, static_cast<size_t>(dot - type->tp_name));
  }
  PyRef names = PyRef::Steal(PyType_GetDict(type));
  PyObject* module = names ? PyDict_GetItemString(names.get(), "__module__") : nullptr;
  return module != nullptr && PyUnicode_CheckExact(module)
             ? ToUtf8(module, kMaxNameBytes, Cut::kEnd)
             : std::string();
}

std::string TypeQualifiedName(PyTypeObject* type) {
  if ((type->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0) {
    const char* dot = strrchr(type->tp_name, '.');
    return dot == nullptr ? type->tp_name : dot + 1;
  }
  return ToUtf8(reinterpret_cast<PyHeapTypeObject*>(type)->ht_qualname, kMaxNameBytes, Cut::kEnd);
}

std::string TypeName(PyTypeObject* type) {
  const std::string module = TypeModule(type);
  const std::string name = TypeQualifiedName(type);
  return module.empty() || module == "builtins" ? name : module + "." + name;
}

void ClonePath::AddValueOf(PyObject* key) {
  // It is an exception of Python's that comes out, which says all there is.
  if (PyErr_Occurred() != nullptr) return;
  if (PyUnicode_CheckExact(key) && PyUnicode_GET_LENGTH(key) <= 64 && PyUnicode_IsIdentifier(key)) {
    steps_.push_back("." + ToUtf8(key, kMaxNameBytes, Cut::kEnd));
  } else {
    steps_.push_back("[" + Describe(key) + "]");
  }
}

std::string ClonePath::Text() const {
  std::string text = "$";
  size_t shown = 0;
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
    if (shown++ == kMaxShownSteps) return text + "…";
    text += *step;
  }
  return text;
}

}  // namespace cloister::sandbox
