#include "sandbox/guest/clone/encoder.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/guest/clone/clone.h"

namespace cloister::sandbox {

CloneEncoder::CloneEncoder(const CloneLimits& limits, CloneHandles* handles)
    : limits_(limits), handles_(handles), types_(CloneTypes::Here()) {}

bool CloneEncoder::Encode(PyObject* value, CloneBytes* clone) {
  // Loaded by now, so that no Python code runs for it within the walk.
  if (types_.DataCloneError() == nullptr) return false;
  if (!out_.Reserve(kCloneHeaderBytes)) return PyErr_NoMemory() != nullptr;
  out_.Skip(kCloneHeaderBytes);
  if (!Value(value)) return Raise();
  if (handles_ != nullptr && !handles_->CheckComplete()) return false;
  if (!Finish(clone, out_.size() - kCloneHeaderBytes)) return Raise();
  return true;
}

bool CloneEncoder::Raise() {
  if (PyErr_Occurred() != nullptr) return false;
  PyObject* type = types_.DataCloneError();
  if (type == nullptr) return false;
  const std::string message =
      problem_has_path_ ? absl::StrCat(path_.Text(), ": ", problem_) : problem_;
  PyErr_SetString(type, message.c_str());
  return false;
}

bool CloneEncoder::MakeRoom(size_t count) {
  if (out_.size() + count > limits_.bytes + kCloneHeaderBytes) {
    return Exceeds(absl::StrCat("clone is larger than ", limits_.bytes, " bytes"));
  }
  if (out_.Reserve(count)) return true;
  PyErr_NoMemory();
  return false;
}

bool CloneEncoder::Refuse(std::string problem) {
  problem_ = std::move(problem);
  problem_has_path_ = true;
  path_.Clear();
  return false;
}

bool CloneEncoder::RefuseType(PyTypeObject* type) {
  return Refuse(absl::StrCat(TypeName(type), " cannot be cloned"));
}

bool CloneEncoder::Changed() { return Refuse("changed while it was cloned"); }

bool CloneEncoder::Exceeds(std::string problem) {
  problem_ = std::move(problem);
  problem_has_path_ = false;
  return false;
}

CloneEncoder::Mark CloneEncoder::Here() const {
  return {out_.size(),
          memo_.count(),
          values_,
          buffers_.size(),
          buffer_bytes_,
          handles_ == nullptr ? 0 : handles_->count(),
          handles_ == nullptr ? 0 : handles_->content_count()};
}

bool CloneEncoder::GoBack(const Mark& mark) {
  out_.Truncate(mark.bytes);
  values_ = mark.values;
  buffers_.resize(mark.buffers);
  buffer_bytes_ = mark.buffer_bytes;
  if (handles_ != nullptr) {
    handles_->Truncate(mark.descriptors);
    handles_->TruncateContents(mark.contents);
  }
  path_.Clear();
  problem_.clear();
  if (memo_.Forget(mark.numbers)) return true;
  PyErr_NoMemory();
  return false;
}

void CloneEncoder::Level::Check(bool has_values) {
  const size_t depth = encoder_.depth_;
  if (depth + (has_values ? 1 : 0) > encoder_.limits_.depth) {
    is_too_deep_ = true;
    encoder_.Refuse(absl::StrCat("nested deeper than ", encoder_.limits_.depth));
  } else if (depth % kLevelsPerStackCheck == 0) {
    is_counted_ = Py_EnterRecursiveCall(" while cloning") == 0;
    is_too_deep_ = !is_counted_;
  }
}

bool EncodeClone(PyObject* value, const CloneLimits& limits, CloneHandles* handles,
                 CloneBytes* clone) {
  CloneEncoder encoder(limits, handles);
  return encoder.Encode(value, clone);
}

bool EncodeClone(PyObject* value, const CloneLimits& limits, CloneBytes* clone) {
  return EncodeClone(value, limits, nullptr, clone);
}

bool EncodeClone(PyObject* value, const CloneLimits& limits, std::string* clone) {
  CloneBytes bytes;
  if (!EncodeClone(value, limits, &bytes)) return false;
  clone->assign(bytes.view());
  return true;
}

PyObject* DataCloneError() { return CloneTypes::Here().DataCloneError(); }

}  // namespace cloister::sandbox
