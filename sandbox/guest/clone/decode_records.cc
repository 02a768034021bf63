// What is known by its class's name: classes and functions themselves, members of enums,
// dataclasses, named tuples. Classes are not called.

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/guest/clone/class_slots.h"
#include "sandbox/guest/clone/clone_path.h"
#include "sandbox/guest/clone/decoder.h"

namespace cloister::sandbox {

PyRef CloneDecoder::Global(uint64_t count) {
  if (!HasFields(count, 2)) return PyRef();
  const PyRef module = Text();
  const PyRef name = module ? Text() : PyRef();
  if (!name) return PyRef();
  PyRef object = FindGlobal(module.get(), name.get());
  if (!object) {
    Fail(absl::StrCat(ToUtf8(module.get(), 200, Cut::kEnd), ".", ToUtf8(name.get(), 200, Cut::kEnd),
                      " is not known here: import or define it before"));
  }
  return object;
}

PyRef CloneDecoder::Class() {
  PyRef object = Field();
  if (object && !PyType_Check(object.get())) return PyRef::Steal(Damaged("no class"));
  return object;
}

PyRef CloneDecoder::EnumMember(uint64_t count) {
  if (!HasFields(count, 2)) return PyRef();
  const PyRef type_object = Class();
  const PyRef field = type_object ? Field() : PyRef();
  if (!field) return PyRef();
  auto* type = reinterpret_cast<PyTypeObject*>(type_object.get());
  PyTypeObject* meta = types_.EnumType();
  if (meta == nullptr || !PyType_IsSubtype(Py_TYPE(type), meta)) {
    Fail(TypeName(type) + " is no enum here");
    return PyRef();
  }
  PyRef member;
  if (PyUnicode_CheckExact(field.get())) {
    member = FindEnumMember(type, field.get());
  } else if (PyLong_CheckExact(field.get()) && IsFlag(type)) {
    member = PyRef::Steal(PyObject_CallOneArg(type_object.get(), field.get()));
    if (!member) return PyRef();
  }
  if (!member || Py_TYPE(member.get()) != type) {
    Fail(absl::StrCat(TypeName(type), " has no member ", Describe(field.get()), " here"));
    return PyRef();
  }
  return member;
}

PyRef CloneDecoder::Dataclass(uint64_t count, size_t number) {
  if (count % 2 != 1) return PyRef::Steal(Damaged("wrong number of fields"));
  const PyRef type_object = Class();
  if (!type_object) return PyRef();
  auto* type = reinterpret_cast<PyTypeObject*>(type_object.get());
  // Most come several times.
  if (type_object.get() != known_dataclass_.get() &&
      (FindInClass(type, "__dataclass_fields__").object == nullptr || !types_.IsPlain(type))) {
    if (PyErr_Occurred() == nullptr) Fail(TypeName(type) + " is no dataclass here");
    return PyRef();
  }
  known_dataclass_ = PyRef::Borrow(type_object.get());
  PyRef object = PyRef::Steal(type->tp_alloc(type, 0));
  if (!object) return PyRef();
  Exists(number, object.get());
  AttributeSetter attributes(object.get());
  for (uint64_t i = 1; i < count; i += 2) {
    PyRef name = Text();
    if (!name) return PyRef();
    PyObject* interned = name.release();
    PyUnicode_InternInPlace(&interned);
    name = PyRef::Steal(interned);
    const PyRef value = Field();
    if (!value || !attributes.Set(name.get(), value.get())) return PyRef();
  }
  return object;
}

PyRef CloneDecoder::NamedTuple(uint64_t count) {
  if (count < 1) return PyRef::Steal(Damaged("wrong number of fields"));
  const PyRef type_object = Class();
  if (!type_object) return PyRef();
  auto* type = reinterpret_cast<PyTypeObject*>(type_object.get());
  const auto size = static_cast<Py_ssize_t>(count - 1);
  if (!IsNamedTuple(types_, type, size)) {
    if (PyErr_Occurred() == nullptr) {
      Fail(absl::StrCat(TypeName(type), " is no named tuple of ", size, " items here"));
    }
    return PyRef();
  }
  const PyRef items = PyRef::Steal(PyTuple_New(size));
  if (!items) return PyRef();
  for (Py_ssize_t i = 0; i < size; ++i) PyTuple_SET_ITEM(items.get(), i, Py_None);
  for (Py_ssize_t i = 0; i < size; ++i) {
    PyObject* item = Value();
    if (item == nullptr) return PyRef();
    PyTuple_SET_ITEM(items.get(), i, item);
  }
  const PyRef arguments = PyRef::Steal(PyTuple_Pack(1, items.get()));
  return PyRef::Steal(arguments ? PyTuple_Type.tp_new(type, arguments.get(), nullptr) : nullptr);
}

}  // namespace cloister::sandbox
