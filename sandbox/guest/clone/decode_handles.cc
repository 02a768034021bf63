// Handles: what has descriptors that came beside the clone.

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/guest/clone/decoder.h"

namespace cloister::sandbox {

bool CloneDecoder::Descriptor(CloneBufferSource source, CloneHandle* handle) {
  CloneBuffer buffer;
  if (!TableEntry(&buffer)) return false;
  if (buffer.source != source) return Damaged("a buffer of another source") != nullptr;
  OpenDescriptor descriptor = handles_->Take(buffer.index);
  if (descriptor == nullptr) return Damaged("no descriptor") != nullptr;
  handle->descriptors.push_back(std::move(descriptor));
  handle->offset = buffer.offset;
  handle->size = buffer.size;
  return true;
}

bool CloneDecoder::HandleFields(CloneKind kind, uint64_t count, CloneHandle* handle) {
  if (kind == CloneKind::kSharedBuffer) {
    return HasFields(count, 3) && Descriptor(CloneBufferSource::kShared, handle) &&
           Bool(&handle->is_read_only) && Bool(&handle->is_handed_over);
  }
  const PyRef name = Text();
  if (!name) return false;
  handle->name = ToUtf8(name.get(), kMaxHandleNameBytes, Cut::kEnd);
  if (kind == CloneKind::kSharedLock) {
    return HasFields(count, 2) && Descriptor(CloneBufferSource::kShared, handle);
  }
  if (count < 3) return Damaged("wrong number of fields") != nullptr;
  const PyRef capacity = IntObject();
  if (!capacity) return false;
  handle->capacity = PyLong_AsLongLong(capacity.get());
  if (handle->capacity == -1 && PyErr_Occurred() != nullptr) return false;
  for (uint64_t i = 2; i < count; ++i) {
    if (!Descriptor(CloneBufferSource::kDescriptor, handle)) return false;
  }
  return true;
}

PyRef CloneDecoder::Handle(CloneKind kind, uint64_t count) {
  constexpr char kStrange[] = "a handle that cannot come from there";
  if (handles_ == nullptr) return PyRef::Steal(Damaged(kStrange));
  CloneHandle handle;
  if (!HandleFields(kind, count, &handle)) return PyRef();
  const CloneHandleType* type = FindCloneHandleType(kind, handle.name);
  return type == nullptr ? PyRef::Steal(Damaged(kStrange)) : type->make(std::move(handle));
}

}  // namespace cloister::sandbox
