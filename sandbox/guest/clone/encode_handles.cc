// Handles: what has descriptors that travel beside the clone.

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/guest/clone/encoder.h"

namespace cloister::sandbox {
namespace {

size_t FieldCount(const CloneHandle& handle, CloneKind kind) {
  switch (kind) {
    case CloneKind::kSharedBuffer:
      return 3;
    case CloneKind::kPort:
      return 2 + handle.descriptors.size();
    default:
      return 2;
  }
}

}  // namespace

bool CloneEncoder::Handle(PyObject* object, const CloneHandleType& type) {
  CloneHandle handle;
  handle.is_handed_over = handles_ != nullptr && handles_->IsHandedOver(object);
  if (type.content != nullptr) {
    if (PyObject* content = type.content(object, handle.is_handed_over); content != nullptr) {
      if (handle.is_handed_over) handles_->AddContent(object);
      return Field(PyRef::Borrow(content));
    }
  }
  if (handles_ == nullptr) {
    return Refuse(absl::StrCat(TypeName(Py_TYPE(object)), " cannot leave its sandbox"));
  }
  const bool is_shared = Py_REFCNT(object) > 1;
  std::string problem;
  if (!type.describe(object, &handle, &problem)) return Refuse(std::move(problem));
  const Start start = BeginObject(object, type.kind, FieldCount(handle, type.kind), Exists::kLater);
  if (start != Start::kNew) return start == Start::kReference;
  if (type.kind != CloneKind::kSharedBuffer && !TextField(handle.name)) return false;
  if (type.kind == CloneKind::kPort) {
    ++values_;
    if (!IntField(handle.capacity)) return false;
    for (OpenDescriptor& descriptor : handle.descriptors) {
      if (!Descriptor(object, std::move(descriptor), {.source = CloneBufferSource::kDescriptor})) {
        return false;
      }
    }
  } else if (!Descriptor(object, std::move(handle.descriptors.front()),
                         {.size = handle.size,
                          .source = CloneBufferSource::kShared,
                          .offset = handle.offset})) {
    return false;
  }
  if (type.kind == CloneKind::kSharedBuffer &&
      (!Value(handle.is_read_only ? Py_True : Py_False) ||
       !Value(handle.is_handed_over ? Py_True : Py_False))) {
    return false;
  }
  if (is_shared) memo_.Complete(object);
  return true;
}

bool CloneEncoder::Descriptor(PyObject* owner, OpenDescriptor descriptor, TableEntry entry) {
  if (handles_->count() == limits_.descriptors) {
    return Exceeds(absl::StrCat("more than ", limits_.descriptors, " descriptors"));
  }
  entry.index = static_cast<uint32_t>(handles_->count());
  if (!Entry(std::move(entry))) return false;
  handles_->Add(owner, std::move(descriptor));
  return true;
}

}  // namespace cloister::sandbox
