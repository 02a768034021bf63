#include "sandbox/guest/clone/class_slots.h"

namespace cloister::sandbox {
namespace {

// Calls `visit` with each slot of the instance, those of bases first, until it returns true.
template <typename Visit>
void VisitSlots(PyObject* object, Visit visit) {
  PyObject* order = Py_TYPE(object)->tp_mro;
  for (Py_ssize_t i = PyTuple_GET_SIZE(order) - 1; i >= 0; --i) {
    auto* type = reinterpret_cast<PyTypeObject*>(PyTuple_GET_ITEM(order, i));
    if ((type->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0 || type->tp_members == nullptr) continue;
    // A base that is not in the line of layouts has its members elsewhere, or none.
    if (!PyType_IsSubtype(Py_TYPE(object), type)) continue;
    for (PyMemberDef* member = type->tp_members; member->name != nullptr; ++member) {
      if (member->type != Py_T_OBJECT_EX) continue;
      auto** place = reinterpret_cast<PyObject**>(reinterpret_cast<char*>(object) + member->offset);
      if (visit(member->name, place)) return;
    }
  }
}

}  // namespace

std::vector<FilledSlot> FilledSlots(PyObject* object) {
  std::vector<FilledSlot> slots;
  VisitSlots(object, [&slots](const char* name, PyObject** place) {
    if (*place != nullptr) slots.push_back({name, PyRef::Borrow(*place)});
    return false;
  });
  return slots;
}

PyObject** FindSlot(PyObject* object, std::string_view name) {
  PyObject** found = nullptr;
  VisitSlots(object, [name, &found](const char* slot, PyObject** place) {
    if (name == slot) found = place;
    return found != nullptr;
  });
  return found;
}

bool HasInstanceDict(PyTypeObject* type) {
  return type->tp_dictoffset != 0 || (type->tp_flags & Py_TPFLAGS_MANAGED_DICT) != 0;
}

bool HasSlots(PyObject* object) {
  bool has = false;
  VisitSlots(object, [&has](const char*, PyObject**) { return has = true; });
  return has;
}

AttributeSetter::AttributeSetter(PyObject* object)
    : object_(object), has_slots_(HasSlots(object)) {}

bool AttributeSetter::Set(PyObject* name, PyObject* value) {
  if (has_slots_) {
    const char* text = PyUnicode_AsUTF8(name);
    if (text == nullptr) return false;
    if (PyObject** place = FindSlot(object_, text)) {
      Py_XSETREF(*place, Py_NewRef(value));
      return true;
    }
  }
  if (!names_ && HasInstanceDict(Py_TYPE(object_))) {
    names_ = PyRef::Steal(PyObject_GenericGetDict(object_, nullptr));
  }
  if (names_) return PyDict_SetItem(names_.get(), name, value) == 0;
  if (PyErr_Occurred() == nullptr) {
    PyErr_Format(PyExc_TypeError, "%s has no attribute %U", Py_TYPE(object_)->tp_name, name);
  }
  return false;
}

bool TakeOver(PyObject* object, PyObject* other) {
  for (const FilledSlot& slot : FilledSlots(other)) {
    PyObject** place = FindSlot(object, slot.name);
    if (place != nullptr) Py_XSETREF(*place, Py_NewRef(slot.value.get()));
  }
  if (!HasInstanceDict(Py_TYPE(object))) return true;
  const PyRef from = PyRef::Steal(PyObject_GenericGetDict(other, nullptr));
  const PyRef to = PyRef::Steal(from ? PyObject_GenericGetDict(object, nullptr) : nullptr);
  return to && PyDict_Update(to.get(), from.get()) == 0;
}

bool IsNamedTuple(CloneTypes& types, PyTypeObject* type, Py_ssize_t count) {
  if (!types.IsPlain(type, &PyTuple_Type)) return false;
  PyObject* fields = FindInClass(type, "_fields").object;
  return fields != nullptr && PyTuple_CheckExact(fields) && PyTuple_GET_SIZE(fields) == count;
}

PyRef FindEnumMember(PyTypeObject* type, PyObject* name) {
  if (name == nullptr || !PyUnicode_CheckExact(name)) return PyRef();
  PyObject* members = FindInClass(type, "_member_map_").object;
  if (members == nullptr || !PyDict_CheckExact(members)) return PyRef();
  PyRef member = PyRef::Borrow(PyDict_GetItemWithError(members, name));
  if (!member) PyErr_Clear();
  return member && Py_TYPE(member.get()) == type ? std::move(member) : PyRef();
}

bool IsFlag(PyTypeObject* type) {
  const PyRef flag = FindGlobal("enum", "Flag");
  const PyRef meta = FindGlobal("enum", "EnumType");
  const ClassEntry missing = FindInClass(type, "_missing_");
  return flag && reinterpret_cast<PyObject*>(missing.owner) == flag.get() &&
         reinterpret_cast<PyObject*>(Py_TYPE(type)) == meta.get();
}

}  // namespace cloister::sandbox
