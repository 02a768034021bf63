// Values of the standard library: moments, numbers, names.

#include <string>
#include <utility>

#include "sandbox/guest/clone/decoder.h"

// After Python.h.
#include <datetime.h>

namespace cloister::sandbox {
namespace {

constexpr int kSecondsOfDay = 24 * 60 * 60;
constexpr int kMicrosecondsOfSecond = 1'000'000;
// Would print what it compiles.
constexpr int kPatternDebug = 128;
constexpr Py_ssize_t kUuidBytes = 16;

}  // namespace

const void* CloneDecoder::DateTimes() {
  if (date_times_ == nullptr) date_times_ = PyCapsule_Import(PyDateTime_CAPSULE_NAME, 0);
  return date_times_;
}

PyRef CloneDecoder::Moment(CloneKind kind, uint64_t count) {
  const uint64_t numbers = kind == CloneKind::kTime ? 5 : kind == CloneKind::kDatetime ? 8 : 3;
  const bool has_zone = numbers > 3;
  if (!HasFields(count, numbers + (has_zone ? 1 : 0))) return PyRef();
  int n[8] = {};
  for (uint64_t i = 0; i < numbers; ++i) {
    if (!Int(&n[i])) return PyRef();
  }
  const auto* api = static_cast<const PyDateTime_CAPI*>(DateTimes());
  if (api == nullptr) return PyRef();
  if (kind == CloneKind::kDate) {
    return PyRef::Steal(api->Date_FromDate(n[0], n[1], n[2], api->DateType));
  }
  if (kind == CloneKind::kTimedelta) {
    if (n[1] < 0 || n[1] >= kSecondsOfDay || n[2] < 0 || n[2] >= kMicrosecondsOfSecond) {
      return PyRef::Steal(Damaged("a timedelta that is not normalised"));
    }
    return PyRef::Steal(api->Delta_FromDelta(n[0], n[1], n[2], 1, api->DeltaType));
  }
  const PyRef zone = Field();
  if (!zone) return PyRef();
  PyTypeObject* type = Py_TYPE(zone.get());
  if (zone.get() != Py_None) {
    const KnownType* known = types_.Find(type);
    if (known == nullptr ||
        (known->kind != CloneKind::kTimezone && known->kind != CloneKind::kZoneInfo)) {
      return PyRef::Steal(Damaged("no zone"));
    }
  }
  if (kind == CloneKind::kTime) {
    return PyRef::Steal(
        api->Time_FromTimeAndFold(n[0], n[1], n[2], n[3], zone.get(), n[4], api->TimeType));
  }
  return PyRef::Steal(api->DateTime_FromDateAndTimeAndFold(n[0], n[1], n[2], n[3], n[4], n[5], n[6],
                                                           zone.get(), n[7], api->DateTimeType));
}

PyRef CloneDecoder::TimeZone(uint64_t count) {
  if (!HasFields(count, 2)) return PyRef();
  const PyRef offset = Field();
  const PyRef name = offset ? Field() : PyRef();
  const auto* api = static_cast<const PyDateTime_CAPI*>(name ? DateTimes() : nullptr);
  if (api == nullptr) return PyRef();
  const bool has_name = name.get() != Py_None;
  if (Py_TYPE(offset.get()) != api->DeltaType || (has_name && !PyUnicode_CheckExact(name.get()))) {
    return PyRef::Steal(Damaged("no offset of a zone"));
  }
  return PyRef::Steal(api->TimeZone_FromTimeZone(offset.get(), has_name ? name.get() : nullptr));
}

PyRef CloneDecoder::Number(CloneKind kind, uint64_t count) {
  const bool is_fraction = kind == CloneKind::kFraction;
  if (!HasFields(count, is_fraction ? 2 : 1)) return PyRef();
  const PyRef first = is_fraction ? IntObject() : Text();
  const PyRef second = first && is_fraction ? IntObject() : PyRef();
  PyTypeObject* type = first && (second || !is_fraction) ? types_.Get(kind) : nullptr;
  if (type == nullptr) return PyRef();
  // The second is the end of the arguments where there is none.
  return PyRef::Steal(PyObject_CallFunctionObjArgs(reinterpret_cast<PyObject*>(type), first.get(),
                                                   second.get(), nullptr));
}

PyRef CloneDecoder::RangeOrSlice(CloneKind kind, uint64_t count) {
  if (!HasFields(count, 3)) return PyRef();
  const bool is_range = kind == CloneKind::kRange;
  PyRef fields[3];
  for (PyRef& field : fields) {
    field = is_range ? IntObject() : Field();
    if (!field) return PyRef();
  }
  return PyRef::Steal(is_range ? PyObject_CallFunctionObjArgs(
                                     reinterpret_cast<PyObject*>(&PyRange_Type), fields[0].get(),
                                     fields[1].get(), fields[2].get(), nullptr)
                               : PySlice_New(fields[0].get(), fields[1].get(), fields[2].get()));
}

PyRef CloneDecoder::Uuid(uint64_t count) {
  if (!HasFields(count, 2)) return PyRef();
  const PyRef bytes = Field();
  const PyRef safety = bytes ? Field() : PyRef();
  if (!safety) return PyRef();
  if (!PyBytes_CheckExact(bytes.get()) || PyBytes_GET_SIZE(bytes.get()) != kUuidBytes ||
      (safety.get() != Py_None && !PyLong_CheckExact(safety.get()))) {
    return PyRef::Steal(Damaged("no UUID"));
  }
  PyTypeObject* type = types_.Get(CloneKind::kUuid);
  const PyRef module = PyRef::Steal(type != nullptr ? PyImport_ImportModule("uuid") : nullptr);
  const PyRef is_safe = PyRef::Steal(
      module ? PyObject_CallMethod(module.get(), "SafeUUID", "O", safety.get()) : nullptr);
  const PyRef nothing = PyRef::Steal(is_safe ? PyTuple_New(0) : nullptr);
  const PyRef named = PyRef::Steal(
      nothing ? Py_BuildValue("{sOsO}", "bytes", bytes.get(), "is_safe", is_safe.get()) : nullptr);
  return PyRef::Steal(
      named ? PyObject_Call(reinterpret_cast<PyObject*>(type), nothing.get(), named.get())
            : nullptr);
}

PyRef CloneDecoder::Named(CloneKind kind, uint64_t count) {
  if (!HasFields(count, 2)) return PyRef();
  const PyRef name = Text();
  const PyRef text = name ? Text() : PyRef();
  if (!text) return PyRef();
  const std::string class_name = ToUtf8(name.get(), 64, Cut::kEnd);
  if (class_name.empty()) return PyRef::Steal(Damaged("no name of a class"));
  PyTypeObject* type = types_.Get(kind, class_name);
  return PyRef::Steal(type == nullptr
                          ? nullptr
                          : PyObject_CallOneArg(reinterpret_cast<PyObject*>(type), text.get()));
}

PyRef CloneDecoder::Pattern(uint64_t count) {
  if (!HasFields(count, 2)) return PyRef();
  const PyRef source = Field();
  int flags = 0;
  if (!source || !Int(&flags)) return PyRef();
  if (!PyUnicode_CheckExact(source.get()) && !PyBytes_CheckExact(source.get())) {
    return PyRef::Steal(Damaged("no pattern"));
  }
  const PyRef module = PyRef::Steal(PyImport_ImportModule("re"));
  return PyRef::Steal(module ? PyObject_CallMethod(module.get(), "compile", "Oi", source.get(),
                                                   flags & ~kPatternDebug)
                             : nullptr);
}

}  // namespace cloister::sandbox
