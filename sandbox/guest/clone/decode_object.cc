// Objects by their kind.

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/guest/clone/class_slots.h"
#include "sandbox/guest/clone/clone_path.h"
#include "sandbox/guest/clone/decoder.h"

namespace cloister::sandbox {

PyObject* CloneDecoder::Object(bool is_numbered) {
  if (at_ == end_) return Damaged("it ends early");
  const auto kind = static_cast<CloneKind>(*at_++);
  uint64_t count;
  if (!Count(&count)) return nullptr;
  const Level level(*this, count, kind == CloneKind::kNamedTuple || kind == CloneKind::kSlice);
  if (level.is_too_deep()) return nullptr;
  const size_t number = NewNumber(is_numbered);
  PyRef object = Make(kind, count, number);
  if (!object) {
    NameProblem();
    return nullptr;
  }
  if (number != kNoNumber && numbered_[number].object == nullptr) Exists(number, object.get());
  return object.release();
}

PyRef CloneDecoder::Make(CloneKind kind, uint64_t count, size_t number) {
  switch (kind) {
    case CloneKind::kRange:
    case CloneKind::kSlice:
      return RangeOrSlice(kind, count);
    case CloneKind::kDeque:
      return Deque(count, number);
    case CloneKind::kOrderedDict:
    case CloneKind::kDefaultDict:
    case CloneKind::kCounter:
      return Mapping(kind, count, number);
    case CloneKind::kNamespace:
      return Namespace(count, number);
    case CloneKind::kArray:
      return Array(count);
    case CloneKind::kMemoryview:
      return MemoryView(count);
    case CloneKind::kNdarray:
      return NumpyArray(count);
    case CloneKind::kDate:
    case CloneKind::kTime:
    case CloneKind::kDatetime:
    case CloneKind::kTimedelta:
      return Moment(kind, count);
    case CloneKind::kTimezone:
      return TimeZone(count);
    case CloneKind::kZoneInfo:
    case CloneKind::kDecimal:
    case CloneKind::kFraction:
      return Number(kind, count);
    case CloneKind::kUuid:
      return Uuid(count);
    case CloneKind::kPath:
    case CloneKind::kIp:
      return Named(kind, count);
    case CloneKind::kPattern:
      return Pattern(count);
    case CloneKind::kGlobal:
      return Global(count);
    case CloneKind::kEnumMember:
      return EnumMember(count);
    case CloneKind::kDataclass:
      return Dataclass(count, number);
    case CloneKind::kNamedTuple:
      return NamedTuple(count);
    case CloneKind::kException:
      return Exception(count, number);
    case CloneKind::kRemoteError:
      return RemoteError(count, number);
    case CloneKind::kRegistered:
      return Registered(count, number);
    case CloneKind::kSharedBuffer:
    case CloneKind::kPort:
    case CloneKind::kSharedLock:
      return Handle(kind, count);
  }
  return PyRef::Steal(Damaged("an unknown kind of object"));
}

// What the standard library says of a thirteenth month is said of the clone.
void CloneDecoder::NameProblem() {
  PyObject* own = types_.DataCloneError();
  if (own == nullptr || hook_raised_ || !PyErr_ExceptionMatches(PyExc_Exception) ||
      PyErr_ExceptionMatches(own) || PyErr_ExceptionMatches(PyExc_MemoryError) ||
      PyErr_ExceptionMatches(PyExc_RecursionError)) {
    return;
  }
  const absl::Status problem = TakePythonError("clone cannot be read here");
  Fail(std::string(problem.message()));
}

PyRef CloneDecoder::Registered(uint64_t count, size_t number) {
  if (!HasFields(count, 2)) return PyRef();
  const PyRef type_object = Class();
  if (!type_object) return PyRef();
  auto* type = reinterpret_cast<PyTypeObject*>(type_object.get());
  const PyRef hooks = PyRef::Borrow(types_.Hooks(type));
  if (!hooks) {
    Fail(absl::StrCat(TypeName(type), " is not registered here: call cloister.register_clone()"));
    return PyRef();
  }
  if (number != kNoNumber && types_.IsPlain(type)) numbered_[number].registered = type;
  const PyRef state = Field();
  if (!state) return PyRef();
  PyRef object = PyRef::Steal(PyObject_CallOneArg(PyTuple_GET_ITEM(hooks.get(), 1), state.get()));
  if (!object) {
    hook_raised_ = true;
    return PyRef();
  }
  if (Py_TYPE(object.get()) != type) {
    Fail(absl::StrCat("what was registered for ", TypeName(type), " has made ",
                      TypeName(Py_TYPE(object.get()))));
    return PyRef();
  }
  if (number == kNoNumber || numbered_[number].object == nullptr) return object;
  // Its state refers to it: that one becomes what the hook has made.
  PyRef early = PyRef::Borrow(numbered_[number].object);
  return TakeOver(early.get(), object.get()) ? std::move(early) : PyRef();
}

}  // namespace cloister::sandbox
