#include "sandbox/guest/clone/clone_types.h"

#include <cstring>
#include <iterator>
#include <string>
#include <utility>

#include "sandbox/guest/clone/clone_path.h"
#include "sandbox/guest/interpreter_local.h"
#include "sandbox/guest/notebook_source.h"
#include "sandbox/guest/python_source.h"

namespace cloister::sandbox {
namespace {

constexpr KnownType kKnownTypes[] = {
    {CloneKind::kRange, "builtins", "range"},
    {CloneKind::kSlice, "builtins", "slice"},
    {CloneKind::kDeque, "collections", "deque"},
    {CloneKind::kOrderedDict, "collections", "OrderedDict"},
    {CloneKind::kDefaultDict, "collections", "defaultdict"},
    {CloneKind::kCounter, "collections", "Counter"},
    {CloneKind::kNamespace, "types", "SimpleNamespace"},
    {CloneKind::kArray, "array", "array"},
    {CloneKind::kMemoryview, "builtins", "memoryview"},
    {CloneKind::kNdarray, "numpy", "ndarray"},
    {CloneKind::kDate, "datetime", "date"},
    {CloneKind::kTime, "datetime", "time"},
    {CloneKind::kDatetime, "datetime", "datetime"},
    {CloneKind::kTimedelta, "datetime", "timedelta"},
    {CloneKind::kTimezone, "datetime", "timezone"},
    {CloneKind::kZoneInfo, "zoneinfo", "ZoneInfo"},
    {CloneKind::kDecimal, "decimal", "Decimal"},
    {CloneKind::kFraction, "fractions", "Fraction"},
    {CloneKind::kUuid, "uuid", "UUID"},
    {CloneKind::kPath, "pathlib", "PurePosixPath"},
    {CloneKind::kPath, "pathlib", "PosixPath"},
    {CloneKind::kPath, "pathlib", "PureWindowsPath"},
    {CloneKind::kIp, "ipaddress", "IPv4Address"},
    {CloneKind::kIp, "ipaddress", "IPv6Address"},
    {CloneKind::kIp, "ipaddress", "IPv4Network"},
    {CloneKind::kIp, "ipaddress", "IPv6Network"},
    {CloneKind::kIp, "ipaddress", "IPv4Interface"},
    {CloneKind::kIp, "ipaddress", "IPv6Interface"},
    {CloneKind::kPattern, "re", "Pattern"},
};

const InterpreterLocal<CloneTypes> here;

PyRef Text(const char* text) { return PyRef::Steal(PyUnicode_FromString(text)); }

// What a dictionary has, without asking any code; empty without an exception.
PyRef Look(PyObject* names, PyObject* name) {
  PyObject* found = PyDict_GetItemWithError(names, name);
  if (found == nullptr) PyErr_Clear();
  return PyRef::Borrow(found);
}

}  // namespace

CloneTypes& CloneTypes::Here() { return *here; }

const KnownType* CloneTypes::Find(PyTypeObject* type) {
  for (const Found& found : found_) {
    if (found.type == type) return found.known;
  }
  const std::string name = TypeQualifiedName(type);
  for (const KnownType& known : kKnownTypes) {
    if (name != known.name) continue;
    PyRef object = FindGlobal(known.module, known.name);
    if (object.get() != reinterpret_cast<PyObject*>(type)) continue;
    found_.push_back({type, &known, std::move(object)});
    return &known;
  }
  return nullptr;
}

PyTypeObject* CloneTypes::Get(CloneKind kind, std::string_view name) {
  for (const Found& found : found_) {
    if (found.known->kind == kind && (name.empty() || name == found.known->name)) return found.type;
  }
  for (const KnownType& known : kKnownTypes) {
    if (known.kind != kind || (!name.empty() && name != known.name)) continue;
    PyRef module = PyRef::Steal(PyImport_ImportModule(known.module));
    if (!module) return nullptr;
    PyRef object = PyRef::Steal(PyObject_GetAttrString(module.get(), known.name));
    if (!object) return nullptr;
    if (!PyType_Check(object.get())) break;
    auto* type = reinterpret_cast<PyTypeObject*>(object.get());
    found_.push_back({type, &known, std::move(object)});
    return type;
  }
  PyErr_Format(PyExc_ValueError, "no type of the standard library is called %s",
               std::string(name).c_str());
  return nullptr;
}

PyObject* CloneTypes::Hooks(PyTypeObject* type) const {
  if (!registered_) return nullptr;
  // By identity, which a metaclass cannot change: keys are addresses.
  PyRef key = PyRef::Steal(PyLong_FromVoidPtr(type));
  PyObject* hooks = key ? PyDict_GetItemWithError(registered_.get(), key.get()) : nullptr;
  if (hooks == nullptr) PyErr_Clear();
  return hooks;
}

bool CloneTypes::Register(PyTypeObject* type, PyObject* to, PyObject* from) {
  if (!registered_) registered_ = PyRef::Steal(PyDict_New());
  PyRef key = PyRef::Steal(PyLong_FromVoidPtr(type));
  // With the type, so that its address stays its own.
  PyRef hooks = PyRef::Steal(PyTuple_Pack(3, to, from, type));
  return registered_ && key && hooks &&
         PyDict_SetItem(registered_.get(), key.get(), hooks.get()) == 0;
}

bool CloneTypes::LoadOwn() {
  if (remote_error_) return true;
  PyRef names = LoadNotebookSource("clone");
  data_clone_error_ = GetFunction(names, "DataCloneError");
  if (data_clone_error_) remote_error_ = GetFunction(names, "RemoteError");
  return static_cast<bool>(remote_error_);
}

PyObject* CloneTypes::DataCloneError() { return LoadOwn() ? data_clone_error_.get() : nullptr; }

PyTypeObject* CloneTypes::RemoteError() {
  return LoadOwn() ? reinterpret_cast<PyTypeObject*>(remote_error_.get()) : nullptr;
}

PyTypeObject* CloneTypes::NativeBase(PyTypeObject* type) {
  // What class statements make has this; the module's own is one of them.
  PyTypeObject* own = RemoteError();
  if (own == nullptr) return nullptr;
  while (type->tp_base != nullptr && (type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0 &&
         type->tp_dealloc == own->tp_dealloc) {
    type = type->tp_base;
  }
  return type;
}

bool CloneTypes::IsPlain(PyTypeObject* type, PyTypeObject* base) {
  return (type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0 && NativeBase(type) == base;
}

PyTypeObject* CloneTypes::EnumType() {
  if (!enum_type_) enum_type_ = FindGlobal("enum", "EnumType");
  return reinterpret_cast<PyTypeObject*>(enum_type_.get());
}

ClassEntry FindInClass(PyTypeObject* type, const char* name) {
  PyRef text = Text(name);
  PyObject* order = type->tp_mro;
  for (Py_ssize_t i = 0; text && order != nullptr && i < PyTuple_GET_SIZE(order); ++i) {
    auto* base = reinterpret_cast<PyTypeObject*>(PyTuple_GET_ITEM(order, i));
    PyRef names = PyRef::Steal(PyType_GetDict(base));
    PyRef object = names ? Look(names.get(), text.get()) : PyRef();
    if (object) return {base, object.get()};
  }
  PyErr_Clear();
  return {};
}

bool IsGlobal(PyObject* object) {
  return PyType_Check(object) || PyFunction_Check(object) || PyCFunction_CheckExact(object);
}

PyRef FindGlobal(PyObject* module, PyObject* qualified_name) {
  PyObject* modules = PyImport_GetModuleDict();
  PyRef found = modules != nullptr && PyDict_CheckExact(modules) ? Look(modules, module) : PyRef();
  if (!found || !PyModule_Check(found.get())) return PyRef();
  PyRef names = PyRef::Borrow(PyModule_GetDict(found.get()));
  PyRef dot = Text(".");
  PyRef parts = PyRef::Steal(dot ? PyUnicode_Split(qualified_name, dot.get(), -1) : nullptr);
  if (!parts) PyErr_Clear();
  found = PyRef();
  for (Py_ssize_t i = 0; parts && i < PyList_GET_SIZE(parts.get()); ++i) {
    if (i > 0) {
      if (!PyType_Check(found.get())) return PyRef();
      names = PyRef::Steal(PyType_GetDict(reinterpret_cast<PyTypeObject*>(found.get())));
    }
    found = names ? Look(names.get(), PyList_GET_ITEM(parts.get(), i)) : PyRef();
    if (!found) return PyRef();
  }
  return found && IsGlobal(found.get()) ? std::move(found) : PyRef();
}

PyRef FindGlobal(const char* module, const char* qualified_name) {
  PyRef module_text = Text(module);
  PyRef name_text = Text(qualified_name);
  if (module_text && name_text) return FindGlobal(module_text.get(), name_text.get());
  PyErr_Clear();
  return PyRef();
}

}  // namespace cloister::sandbox
