// Which form an object has that is no builtin container.

#include "sandbox/guest/clone/encoder.h"

namespace cloister::sandbox {

CloneEncoder::TypeForm CloneEncoder::FormOf(PyObject* object, PyTypeObject* type) {
  const bool is_class = (type->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0;
  TypeForm form = {.type = type};
  form.hooks = is_class ? types_.Hooks(type) : nullptr;
  if (form.hooks != nullptr) {
    form.form = Form::kRegistered;
  } else if (PyExceptionInstance_Check(object)) {
    form.form = Form::kException;
  } else if (IsGlobal(object)) {
    form.form = Form::kGlobal;
  } else if ((form.known = types_.Find(type)) != nullptr) {
    form.form = Form::kKnown;
  } else if ((form.handle = FindCloneHandleType(type)) != nullptr) {
    form.form = Form::kHandle;
  } else if (!is_class) {
    form.form = Form::kNone;
  } else if (PyTypeObject* enum_type = types_.EnumType();
             enum_type != nullptr && PyType_IsSubtype(Py_TYPE(type), enum_type)) {
    form.form = Form::kEnumMember;
  } else if (PyTuple_Check(object)) {
    form.form = Form::kNamedTuple;
  } else if (FindInClass(type, "__dataclass_fields__").object != nullptr && types_.IsPlain(type)) {
    form.form = Form::kDataclass;
  }
  return form;
}

bool CloneEncoder::Object(PyObject* object, PyTypeObject* type) {
  const Level level(*this, true);
  if (level.is_too_deep()) return false;
  TypeForm& cached = forms_[(reinterpret_cast<uintptr_t>(type) >> 4) % kForms];
  if (cached.type != type) cached = FormOf(object, type);
  const TypeForm form = cached;
  switch (form.form) {
    case Form::kRegistered:
      return Registered(object, form.hooks);
    case Form::kException:
      return Exception(object);
    case Form::kGlobal:
      return Global(object);
    case Form::kKnown:
      return Known(object, form.known->kind, form.known->name);
    case Form::kHandle:
      return Handle(object, *form.handle);
    case Form::kEnumMember:
      return EnumMember(object);
    case Form::kNamedTuple:
      return NamedTuple(object);
    case Form::kDataclass:
      return Dataclass(object);
    case Form::kNone:
      break;
  }
  return PyErr_Occurred() == nullptr && RefuseType(type);
}

bool CloneEncoder::Known(PyObject* object, CloneKind kind, const char* name) {
  switch (kind) {
    case CloneKind::kRange:
    case CloneKind::kSlice:
      return Members(object, kind, {"start", "stop", "step"});
    case CloneKind::kDeque:
      return Deque(object);
    case CloneKind::kOrderedDict:
      return OrderedDict(object);
    case CloneKind::kDefaultDict:
      return DefaultDict(object);
    case CloneKind::kCounter:
      return Counter(object);
    case CloneKind::kNamespace:
      return Namespace(object);
    case CloneKind::kArray:
      return Array(object);
    case CloneKind::kMemoryview:
      return MemoryView(object);
    case CloneKind::kNdarray:
      return NumpyArray(object);
    case CloneKind::kDate:
    case CloneKind::kTime:
    case CloneKind::kDatetime:
    case CloneKind::kTimedelta:
      return Moment(object, kind);
    case CloneKind::kTimezone:
      return TimeZone(object);
    case CloneKind::kZoneInfo:
      return Members(object, kind, {"key"});
    case CloneKind::kDecimal:
      return Decimal(object);
    case CloneKind::kFraction:
      return Members(object, kind, {"_numerator", "_denominator"});
    case CloneKind::kUuid:
      return Uuid(object);
    case CloneKind::kPath:
    case CloneKind::kIp:
      return Named(object, kind, name);
    case CloneKind::kPattern:
      return Pattern(object);
    default:
      return RefuseType(Py_TYPE(object));
  }
}

bool CloneEncoder::Registered(PyObject* object, PyObject* hooks) {
  const bool is_numbered = Py_REFCNT(object) > 1;
  const Start start = BeginObject(object, CloneKind::kRegistered, 2, Exists::kLater);
  if (start != Start::kNew) return start == Start::kReference;
  const PyRef hold = PyRef::Borrow(object);
  const PyRef hold_hooks = PyRef::Borrow(hooks);
  if (!Value(reinterpret_cast<PyObject*>(Py_TYPE(object)))) return false;
  // Of other classes the receiver can make no instance before it has the state.
  const bool exists_early = types_.IsPlain(Py_TYPE(object));
  if (is_numbered && exists_early) memo_.Complete(object);
  BeforePython();
  if (!Field(PyRef::Steal(PyObject_CallOneArg(PyTuple_GET_ITEM(hooks, 0), object)))) return false;
  if (is_numbered) memo_.Complete(object);
  return true;
}

}  // namespace cloister::sandbox
