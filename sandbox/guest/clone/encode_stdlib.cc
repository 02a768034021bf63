// Values of the standard library: moments, numbers, names.
//
// Their types are exact, so what is asked of them runs the standard library's code alone.

#include "sandbox/guest/clone/encoder.h"

// After Python.h.
#include <datetime.h>

namespace cloister::sandbox {

bool CloneEncoder::Members(PyObject* object, CloneKind kind,
                           std::initializer_list<const char*> names) {
  const bool is_shared = Py_REFCNT(object) > 1;
  const Start start = BeginObject(object, kind, names.size(), Exists::kLater);
  if (start != Start::kNew) return start == Start::kReference;
  const PyRef hold = PyRef::Borrow(object);
  for (const char* name : names) {
    PyRef member = PyRef::Steal(PyObject_GetAttrString(object, name));
    if (kind == CloneKind::kZoneInfo && member.get() == Py_None) {
      return Refuse("zoneinfo.ZoneInfo without a key cannot be cloned");
    }
    if (Field(std::move(member))) continue;
    path_.AddAttribute(name);
    return false;
  }
  if (is_shared) memo_.Complete(object);
  return true;
}

bool CloneEncoder::Zone(PyObject* zone) {
  const KnownType* known = zone == Py_None ? nullptr : types_.Find(Py_TYPE(zone));
  const bool is_zone =
      zone == Py_None || (known != nullptr && (known->kind == CloneKind::kTimezone ||
                                               known->kind == CloneKind::kZoneInfo));
  if (is_zone ? Value(zone) : RefuseType(Py_TYPE(zone))) return true;
  path_.AddAttribute("tzinfo");
  return false;
}

bool CloneEncoder::Moment(PyObject* object, CloneKind kind) {
  const bool is_shared = Py_REFCNT(object) > 1;
  const size_t count = kind == CloneKind::kTime ? 6 : kind == CloneKind::kDatetime ? 9 : 3;
  const Start start = BeginObject(object, kind, count, Exists::kLater);
  if (start != Start::kNew) return start == Start::kReference;
  const PyRef hold = PyRef::Borrow(object);
  bool done = false;
  values_ += count;
  switch (kind) {
    case CloneKind::kTimedelta:
      done = IntField(PyDateTime_DELTA_GET_DAYS(object)) &&
             IntField(PyDateTime_DELTA_GET_SECONDS(object)) &&
             IntField(PyDateTime_DELTA_GET_MICROSECONDS(object));
      break;
    case CloneKind::kTime:
      done = IntField(PyDateTime_TIME_GET_HOUR(object)) &&
             IntField(PyDateTime_TIME_GET_MINUTE(object)) &&
             IntField(PyDateTime_TIME_GET_SECOND(object)) &&
             IntField(PyDateTime_TIME_GET_MICROSECOND(object)) &&
             IntField(PyDateTime_TIME_GET_FOLD(object)) && Zone(PyDateTime_TIME_GET_TZINFO(object));
      break;
    default:
      done = IntField(PyDateTime_GET_YEAR(object)) && IntField(PyDateTime_GET_MONTH(object)) &&
             IntField(PyDateTime_GET_DAY(object));
      if (kind == CloneKind::kDate) break;
      done = done && IntField(PyDateTime_DATE_GET_HOUR(object)) &&
             IntField(PyDateTime_DATE_GET_MINUTE(object)) &&
             IntField(PyDateTime_DATE_GET_SECOND(object)) &&
             IntField(PyDateTime_DATE_GET_MICROSECOND(object)) &&
             IntField(PyDateTime_DATE_GET_FOLD(object)) && Zone(PyDateTime_DATE_GET_TZINFO(object));
  }
  if (done && is_shared) memo_.Complete(object);
  return done;
}

bool CloneEncoder::TimeZone(PyObject* zone) {
  const bool is_shared = Py_REFCNT(zone) > 1;
  const Start start = BeginObject(zone, CloneKind::kTimezone, 2, Exists::kLater);
  if (start != Start::kNew) return start == Start::kReference;
  // (offset,) or (offset, name)
  PyRef arguments = PyRef::Steal(PyObject_CallMethod(zone, "__getinitargs__", nullptr));
  if (!arguments) return false;
  PyObject* tuple = arguments.get();
  kept_.push_back(std::move(arguments));
  if (!Value(PyTuple_GET_ITEM(tuple, 0)) ||
      !Value(PyTuple_GET_SIZE(tuple) > 1 ? PyTuple_GET_ITEM(tuple, 1) : Py_None)) {
    return false;
  }
  if (is_shared) memo_.Complete(zone);
  return true;
}

bool CloneEncoder::Decimal(PyObject* number) {
  const bool is_shared = Py_REFCNT(number) > 1;
  const Start start = BeginObject(number, CloneKind::kDecimal, 1, Exists::kLater);
  if (start != Start::kNew) return start == Start::kReference;
  if (!Field(PyRef::Steal(PyObject_Str(number)))) return false;
  if (is_shared) memo_.Complete(number);
  return true;
}

bool CloneEncoder::Uuid(PyObject* uuid) {
  const bool is_shared = Py_REFCNT(uuid) > 1;
  const Start start = BeginObject(uuid, CloneKind::kUuid, 2, Exists::kLater);
  if (start != Start::kNew) return start == Start::kReference;
  const PyRef hold = PyRef::Borrow(uuid);
  PyRef number = PyRef::Steal(PyObject_GetAttrString(uuid, "int"));
  PyRef safety = PyRef::Steal(number ? PyObject_GetAttrString(uuid, "is_safe") : nullptr);
  if (!safety) return false;
  unsigned char bytes[16];
  if (!PyLong_CheckExact(number.get()) ||
      PyLong_AsNativeBytes(number.get(), bytes, sizeof(bytes),
                           Py_ASNATIVEBYTES_BIG_ENDIAN | Py_ASNATIVEBYTES_UNSIGNED_BUFFER) < 0) {
    return PyErr_Occurred() == nullptr && RefuseType(Py_TYPE(uuid));
  }
  if (!Field(PyRef::Steal(PyBytes_FromStringAndSize(reinterpret_cast<char*>(bytes), 16))) ||
      !Field(PyRef::Steal(PyObject_GetAttrString(safety.get(), "_value_")))) {
    return false;
  }
  if (is_shared) memo_.Complete(uuid);
  return true;
}

bool CloneEncoder::Named(PyObject* object, CloneKind kind, const char* name) {
  const bool is_shared = Py_REFCNT(object) > 1;
  const Start start = BeginObject(object, kind, 2, Exists::kLater);
  if (start != Start::kNew) return start == Start::kReference;
  const PyRef hold = PyRef::Borrow(object);
  BeforePython();  // str() of it is the standard library's Python
  if (!TextField(name) || !Field(PyRef::Steal(PyObject_Str(object)))) return false;
  if (is_shared) memo_.Complete(object);
  return true;
}

bool CloneEncoder::Pattern(PyObject* pattern) {
  const bool is_shared = Py_REFCNT(pattern) > 1;
  const Start start = BeginObject(pattern, CloneKind::kPattern, 2, Exists::kLater);
  if (start != Start::kNew) return start == Start::kReference;
  PyRef source = PyRef::Steal(PyObject_GetAttrString(pattern, "pattern"));
  if (!source) return false;
  // One of another bytes-like object would be compiled from bytes.
  if (!PyUnicode_CheckExact(source.get()) && !PyBytes_CheckExact(source.get())) {
    return Refuse("re.Pattern of " + TypeName(Py_TYPE(source.get())) + " cannot be cloned");
  }
  if (!Field(std::move(source)) || !Field(PyRef::Steal(PyObject_GetAttrString(pattern, "flags")))) {
    return false;
  }
  if (is_shared) memo_.Complete(pattern);
  return true;
}

}  // namespace cloister::sandbox
