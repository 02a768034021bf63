// Exceptions: by their class where that and their arguments can be cloned, else as a RemoteError
// that tells what they were. They never fail for what they are.

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sandbox/guest/clone/encoder.h"
#include "sandbox/guest/clone/exception_parts.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kFrameFields = 3;
// What an exception with simple arguments needs below itself.
constexpr size_t kLeastLevels = 8;
// The list of frames, a frame, its texts.
constexpr size_t kLevelsInPlace = 3;

// So that their number is one byte.
constexpr size_t kMaxAttributes = 127;

}  // namespace

bool CloneEncoder::Exception(PyObject* exception) {
  // Known already, or one that is open.
  const Mark mark = Here();
  if (Py_TYPE(exception) != types_.RemoteError()) {
    if (ExceptionByClass(exception)) return true;
    if (PyErr_Occurred() != nullptr || !problem_has_path_) return false;
    if (!GoBack(mark)) return false;
  }
  return PyErr_Occurred() == nullptr && ExceptionByName(exception);
}

bool CloneEncoder::ExceptionByClass(PyObject* exception) {
  PyTypeObject* native = types_.NativeBase(Py_TYPE(exception));
  if (native == nullptr) return false;
  if ((native->tp_flags & Py_TPFLAGS_HEAPTYPE) != 0) return RefuseType(Py_TYPE(exception));
  const bool is_shared = Py_REFCNT(exception) > 1;
  const Start start = BeginObject(exception, CloneKind::kException, 8, Exists::kLater);
  if (start != Start::kNew) return start == Start::kReference;
  const PyRef hold = PyRef::Borrow(exception);
  PyObject* arguments = reinterpret_cast<PyBaseExceptionObject*>(exception)->args;
  if (arguments == nullptr || !PyTuple_CheckExact(arguments)) return RefuseType(Py_TYPE(exception));
  if (!Value(reinterpret_cast<PyObject*>(Py_TYPE(exception)))) return false;
  if (!Value(arguments)) {
    path_.AddAttribute("args");
    return false;
  }
  if (is_shared) memo_.Complete(exception);
  const PyRef attributes = ExceptionAttributes(exception, native);
  if (!attributes || !ExceptionDict(attributes.get())) return false;
  return ExceptionEnd(exception, true);
}

// What of it cannot be cloned is left out: the exception is what matters.
bool CloneEncoder::ExceptionDict(PyObject* attributes) {
  if (attributes == Py_None) return Value(Py_None);
  const Level level(*this, true);
  if (level.is_too_deep() || !Room(kMaxVarintBytes)) return false;
  ++values_;
  const size_t start = out_.size();
  out_.Put(static_cast<uint8_t>(CloneTag::kDict));
  out_.Put(0);
  uint8_t count = 0;
  Py_ssize_t position = 0;
  PyObject* name;
  PyObject* value;
  while (count < kMaxAttributes && PyDict_Next(attributes, &position, &name, &value)) {
    if (!PyUnicode_CheckExact(name)) continue;
    const Mark mark = Here();
    if (Value(name) && Value(value)) {
      ++count;
      continue;
    }
    if (PyErr_Occurred() != nullptr || !problem_has_path_ || !GoBack(mark)) return false;
  }
  out_.data()[start + 1] = count;
  if (count > 0) return true;
  out_.Truncate(start);
  out_.Put(static_cast<uint8_t>(CloneTag::kNone));
  return true;
}

bool CloneEncoder::ExceptionByName(PyObject* exception) {
  const bool is_shared = Py_REFCNT(exception) > 1;
  const Start start = BeginObject(exception, CloneKind::kRemoteError, 8, Exists::kLater);
  if (start != Start::kNew) return start == Start::kReference;
  const PyRef hold = PyRef::Borrow(exception);
  const RemoteParts parts = DescribeException(exception, types_.RemoteError());
  const size_t count = parts.arguments.size();
  // Written in place: they have no number.
  if (!Room(64)) return false;
  out_.Put(static_cast<uint8_t>(CloneTag::kTuple));
  out_.PutVarint(2);
  values_ += 2;
  if (!TextField(parts.module) || !TextField(parts.name) || !Room(64)) return false;
  out_.Put(static_cast<uint8_t>(CloneTag::kTuple));
  out_.PutVarint(count);
  for (const std::string& text : parts.arguments) {
    if (!TextField(text)) return false;
  }
  if (is_shared) memo_.Complete(exception);
  return Value(Py_None) && ExceptionEnd(exception, false);
}

bool CloneEncoder::ExceptionEnd(PyObject* exception, bool by_class) {
  // What is written in place has no levels of its own.
  if (depth_ + kLevelsInPlace > limits_.depth) {
    return Refuse(absl::StrCat("nested deeper than ", limits_.depth));
  }
  auto* parts = reinterpret_cast<PyBaseExceptionObject*>(exception);
  PyRef notes = ExceptionNotes(exception, by_class);
  if (!notes || !Field(std::move(notes))) return false;
  PyRef cause = PyRef::Borrow(parts->cause != nullptr ? parts->cause : Py_None);
  PyRef context = PyRef::Borrow(parts->context != nullptr ? parts->context : Py_None);
  // A chain longer than values may be nested ends early.
  if (depth_ + kLeastLevels > limits_.depth) {
    cause = PyRef::Borrow(Py_None);
    context = PyRef::Borrow(Py_None);
  }
  if (!Field(std::move(cause))) {
    path_.AddAttribute("__cause__");
    return false;
  }
  if (!Field(std::move(context))) {
    path_.AddAttribute("__context__");
    return false;
  }
  return Value(parts->suppress_context ? Py_True : Py_False) && Traceback(exception);
}

bool CloneEncoder::Traceback(PyObject* exception) {
  const std::vector<FrameLine> frames = ExceptionFrames(exception);
  if (!Room(64)) return false;
  values_ += 1 + 2 * frames.size();
  out_.Put(static_cast<uint8_t>(CloneTag::kList));
  out_.PutVarint(frames.size());
  for (const FrameLine& frame : frames) {
    if (!Room(64)) return false;
    out_.Put(static_cast<uint8_t>(CloneTag::kTuple));
    out_.PutVarint(kFrameFields);
    if (!Field(PyRef::Borrow(frame.file.get())) || !IntField(frame.line) ||
        !Field(PyRef::Borrow(frame.function.get()))) {
      return false;
    }
  }
  return true;
}

}  // namespace cloister::sandbox
