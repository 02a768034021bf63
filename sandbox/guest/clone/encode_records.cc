// What is known by its class's name: classes and functions themselves, members of enums,
// dataclasses, named tuples.

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sandbox/guest/clone/class_slots.h"
#include "sandbox/guest/clone/encoder.h"

namespace cloister::sandbox {
namespace {

// The module and name of a class or function; empty where it has none that is text.
struct GlobalName {
  PyRef module;
  PyRef name;
};

GlobalName NameOf(PyObject* object) {
  GlobalName found;
  PyObject* module = nullptr;
  PyObject* name = nullptr;
  if (PyFunction_Check(object)) {
    auto* function = reinterpret_cast<PyFunctionObject*>(object);
    module = function->func_module;
    name = function->func_qualname;
  } else if (PyType_Check(object)) {
    auto* type = reinterpret_cast<PyTypeObject*>(object);
    const std::string module_text = TypeModule(type);
    const std::string name_text = TypeQualifiedName(type);
    found.module = PyRef::Steal(PyUnicode_FromString(module_text.c_str()));
    found.name = PyRef::Steal(PyUnicode_FromString(name_text.c_str()));
    return found;
  } else {
    auto* function = reinterpret_cast<PyCFunctionObject*>(object);
    module = function->m_module;
    found.name = PyRef::Steal(PyUnicode_FromString(function->m_ml->ml_name));
  }
  if (module != nullptr && PyUnicode_CheckExact(module)) found.module = PyRef::Borrow(module);
  if (name != nullptr && PyUnicode_CheckExact(name)) found.name = PyRef::Borrow(name);
  return found;
}

}  // namespace

bool CloneEncoder::Global(PyObject* object) {
  const bool is_shared = Py_REFCNT(object) > 1;
  const Start start = BeginObject(object, CloneKind::kGlobal, 2, Exists::kLater);
  if (start != Start::kNew) return start == Start::kReference;
  GlobalName name = NameOf(object);
  if (PyErr_Occurred() != nullptr) return false;
  const PyRef found =
      name.module && name.name ? FindGlobal(name.module.get(), name.name.get()) : PyRef();
  if (found.get() != object) {
    const char* what = PyType_Check(object) ? "class " : "function ";
    return Refuse(absl::StrCat(what, ToUtf8(name.module.get(), 200, Cut::kEnd), ".",
                               ToUtf8(name.name.get(), 200, Cut::kEnd),
                               " cannot be cloned: its module has it under no such name"));
  }
  if (!Field(std::move(name.module)) || !Field(std::move(name.name))) return false;
  if (is_shared) memo_.Complete(object);
  return true;
}

bool CloneEncoder::EnumMember(PyObject* object) {
  const bool is_shared = Py_REFCNT(object) > 1;
  const Start start = BeginObject(object, CloneKind::kEnumMember, 2, Exists::kLater);
  if (start != Start::kNew) return start == Start::kReference;
  const PyRef hold = PyRef::Borrow(object);
  PyTypeObject* type = Py_TYPE(object);
  const PyRef names = PyRef::Steal(PyObject_GenericGetDict(object, nullptr));
  if (!names) PyErr_Clear();
  PyObject* name = names ? PyDict_GetItemString(names.get(), "_name_") : nullptr;
  PyObject* value = names ? PyDict_GetItemString(names.get(), "_value_") : nullptr;
  if (!Value(reinterpret_cast<PyObject*>(type))) return false;
  PyObject* field = nullptr;
  if (FindEnumMember(type, name).get() == object) {
    field = name;
  } else if (value != nullptr && PyLong_CheckExact(value) && IsFlag(type)) {
    field = value;
  }
  if (field == nullptr) return Refuse("a member that its enum does not have cannot be cloned");
  if (!Field(PyRef::Borrow(field))) return false;
  if (is_shared) memo_.Complete(object);
  return true;
}

bool CloneEncoder::Attributes(PyObject* names) {
  const Py_ssize_t count = PyDict_GET_SIZE(names);
  Py_ssize_t position = 0;
  Py_ssize_t index = 0;
  PyObject* name;
  PyObject* value;
  for (; PyDict_Next(names, &position, &name, &value); ++index) {
    if (index == count) return Changed();
    if (!PyUnicode_CheckExact(name)) return Refuse("has an attribute whose name is no str");
    const PyRef hold = PyRef::Borrow(name);
    if (!Value(name)) return false;
    if (Value(value)) continue;
    if (PyErr_Occurred() == nullptr) path_.AddAttribute(ToUtf8(name, 200, Cut::kEnd));
    return false;
  }
  return (index == count && PyDict_GET_SIZE(names) == count) || Changed();
}

bool CloneEncoder::Dataclass(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  const std::vector<FilledSlot> slots = FilledSlots(object);
  PyRef names;
  if (HasInstanceDict(type)) {
    names = PyRef::Steal(PyObject_GenericGetDict(object, nullptr));
    if (!names) return false;
  }
  const size_t in_dict = names ? static_cast<size_t>(PyDict_GET_SIZE(names.get())) : 0;
  const bool is_shared = Py_REFCNT(object) > 1;
  const Start start =
      BeginObject(object, CloneKind::kDataclass, 1 + 2 * (slots.size() + in_dict), Exists::kLater);
  if (start != Start::kNew) return start == Start::kReference;
  const PyRef hold = PyRef::Borrow(object);
  if (!Value(reinterpret_cast<PyObject*>(type))) return false;
  if (is_shared) memo_.Complete(object);
  for (const FilledSlot& slot : slots) {
    if (!TextField(slot.name)) return false;
    if (Value(slot.value.get())) continue;
    path_.AddAttribute(slot.name);
    return false;
  }
  return !names || Attributes(names.get());
}

bool CloneEncoder::NamedTuple(PyObject* object) {
  PyTypeObject* type = Py_TYPE(object);
  const Py_ssize_t count = PyTuple_GET_SIZE(object);
  if (!IsNamedTuple(types_, type, count)) {
    return PyErr_Occurred() == nullptr && RefuseType(type);
  }
  if (HasInstanceDict(type)) {
    PyRef names = PyRef::Steal(PyObject_GenericGetDict(object, nullptr));
    if (!names) return false;
    if (PyDict_GET_SIZE(names.get()) > 0) {
      return Refuse(TypeName(type) + " with further attributes cannot be cloned");
    }
  }
  const bool is_shared = Py_REFCNT(object) > 1;
  const Start start =
      BeginObject(object, CloneKind::kNamedTuple, static_cast<size_t>(count) + 1, Exists::kLater);
  if (start != Start::kNew) return start == Start::kReference;
  const PyRef hold = PyRef::Borrow(object);
  if (!Value(reinterpret_cast<PyObject*>(type))) return false;
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (Value(PyTuple_GET_ITEM(object, i))) continue;
    path_.AddIndex(i);
    return false;
  }
  if (is_shared) memo_.Complete(object);
  return true;
}

}  // namespace cloister::sandbox
