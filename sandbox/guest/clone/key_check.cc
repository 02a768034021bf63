#include "sandbox/guest/clone/key_check.h"

#include <algorithm>

#include "sandbox/guest/clone/clone_path.h"
#include "sandbox/guest/clone/set_items.h"

namespace cloister::sandbox {
namespace {

// hash() of a tuple in a tuple in a tuple… ends the process where the stack ends.
constexpr size_t kMaxKeyDepth = 500;
constexpr size_t kMaxLooks = 20'000'000;

bool IsHashableKind(CloneKind kind) {
  return kind == CloneKind::kRange || (kind >= CloneKind::kDate && kind <= CloneKind::kPattern);
}

bool IsNative(const ClassEntry& entry) {
  return entry.owner != nullptr && (entry.owner->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0;
}

}  // namespace

bool KeyChecker::Refuse(PyTypeObject* type) {
  problem_ = TypeName(type) + " cannot be a key or an item of a set in a clone";
  return false;
}

bool KeyChecker::CheckItems(PyObject* tuple, size_t depth) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); ++i) {
    PyObject* item = PyTuple_GET_ITEM(tuple, i);
    if (!IsSimple(Py_TYPE(item)) && !CheckWithin(item, depth + 1)) return false;
  }
  return true;
}

// Of a type that a class statement made.
bool KeyChecker::CheckInstance(PyTypeObject* type) {
  const ClassEntry hash = FindInClass(type, "__hash__");
  const ClassEntry equal = FindInClass(type, "__eq__");
  if (hash.object == nullptr || hash.object == Py_None || !IsNative(equal)) return Refuse(type);
  if (IsNative(hash)) return true;
  // What the standard library's enum does: the hash of a text.
  PyRef enumeration = FindGlobal("enum", "Enum");
  return reinterpret_cast<PyObject*>(hash.owner) == enumeration.get() || Refuse(type);
}

bool KeyChecker::CheckWithin(PyObject* key, size_t depth) {
  if (depth > kMaxKeyDepth || ++looks_ > kMaxLooks) {
    problem_ = "a key is nested too deep";
    return false;
  }
  if (std::find(open_.begin(), open_.end(), key) != open_.end()) {
    problem_ = "a key that contains its dict cannot be cloned";
    return false;
  }
  PyTypeObject* type = Py_TYPE(key);
  if (type == &PyTuple_Type) return CheckItems(key, depth);
  if (type == &PyFrozenSet_Type) {
    Py_ssize_t position = 0;
    while (PyRef item = NextSetItem(key, &position)) {
      if (!IsSimple(Py_TYPE(item.get())) && !CheckWithin(item.get(), depth + 1)) return false;
    }
    return true;
  }
  if (type == &PyComplex_Type || type == &PyEllipsis_Type || key == Py_NotImplemented ||
      type == &PyFunction_Type || type == &PyCFunction_Type) {
    return true;
  }
  if (PyType_Check(key)) {
    return (type->tp_hash == PyType_Type.tp_hash &&
            type->tp_richcompare == PyType_Type.tp_richcompare) ||
           Refuse(type);
  }
  const KnownType* known = types_.Find(type);
  if (known != nullptr) return IsHashableKind(known->kind) || Refuse(type);
  if ((type->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0 || !CheckInstance(type)) return Refuse(type);
  return !PyTuple_Check(key) || CheckItems(key, depth);
}

}  // namespace cloister::sandbox
