#include "sandbox/guest/clone/decoder.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/guest/clone/clone.h"

namespace cloister::sandbox {

CloneDecoder::CloneDecoder(std::string_view clone, const CloneLimits& limits,
                           CloneHandles* handles)
    : clone_(clone), limits_(limits), handles_(handles), types_(CloneTypes::Here()) {}

CloneDecoder::~CloneDecoder() {
  for (const Numbered& numbered : numbered_) Py_XDECREF(numbered.object);
}

PyRef CloneDecoder::Decode() {
  absl::StatusOr<CloneParts> parts = ParseClone(clone_, limits_);
  if (!parts.ok()) {
    Fail(absl::StrCat("clone is damaged: ", parts.status().message()));
    return PyRef();
  }
  const size_t came = handles_ == nullptr ? 0 : handles_->count();
  if (parts->descriptor_count != came) {
    Fail(absl::StrCat("clone is damaged: it names ", parts->descriptor_count, " descriptors, and ",
                      came, " came with it"));
    return PyRef();
  }
  buffers_ = std::move(parts->buffers);
  at_ = parts->value.data();
  end_ = at_ + parts->value.size();
  PyRef value = PyRef::Steal(Value());
  if (value && (at_ != end_ || next_buffer_ != buffers_.size())) {
    Damaged("more than its value");
    return PyRef();
  }
  return value;
}

PyObject* CloneDecoder::Fail(const std::string& message) {
  PyObject* type = types_.DataCloneError();
  if (type != nullptr) PyErr_SetString(type, message.c_str());
  return nullptr;
}

PyObject* CloneDecoder::Damaged(const char* what) {
  return Fail(absl::StrCat("clone is damaged at byte ", at_ - clone_.data(), ": ", what));
}

bool CloneDecoder::Varint(uint64_t* number) {
  const char* next = ReadVarint(at_, end_, number);
  if (next == nullptr) return Damaged("no number") != nullptr;
  at_ = next;
  return true;
}

bool CloneDecoder::EndsEarly() { return Damaged("it ends early") != nullptr; }

PyRef CloneDecoder::Text() {
  PyRef text = Field();
  if (text && !PyUnicode_CheckExact(text.get())) return PyRef::Steal(Damaged("no text"));
  return text;
}

PyRef CloneDecoder::IntObject() {
  PyRef number = Field();
  if (number && !PyLong_CheckExact(number.get())) return PyRef::Steal(Damaged("no int"));
  return number;
}

bool CloneDecoder::Int(int* number) {
  const PyRef object = IntObject();
  if (!object) return false;
  int overflow = 0;
  const long value = PyLong_AsLongAndOverflow(object.get(), &overflow);
  *number = static_cast<int>(value);
  return (overflow == 0 && *number == value) || Damaged("an int out of range") != nullptr;
}

bool CloneDecoder::Bool(bool* value) {
  const PyRef object = Field();
  if (!object) return false;
  *value = object.get() == Py_True;
  return PyBool_Check(object.get()) || Damaged("no bool") != nullptr;
}

bool CloneDecoder::HasFields(uint64_t count, uint64_t expected) {
  return count == expected || Damaged("wrong number of fields") != nullptr;
}

size_t CloneDecoder::NewNumber(bool is_numbered) {
  if (!is_numbered) return kNoNumber;
  numbered_.emplace_back();
  return numbered_.size() - 1;
}

void CloneDecoder::Exists(size_t number, PyObject* object) {
  if (number != kNoNumber) numbered_[number].object = Py_NewRef(object);
}

void CloneDecoder::Level::Check(bool has_values) {
  const size_t depth = decoder_.depth_;
  if (depth + (has_values ? 1 : 0) > decoder_.limits_.depth) {
    is_too_deep_ = true;
    decoder_.Fail(absl::StrCat("clone is nested deeper than ", decoder_.limits_.depth));
  } else if (depth % kLevelsPerStackCheck == 0) {
    is_counted_ = Py_EnterRecursiveCall(" while reading a clone") == 0;
    is_too_deep_ = !is_counted_;
  }
}

PyRef DecodeClone(std::string_view clone, const CloneLimits& limits, CloneHandles* handles) {
  CloneDecoder decoder(clone, limits, handles);
  return decoder.Decode();
}

}  // namespace cloister::sandbox
