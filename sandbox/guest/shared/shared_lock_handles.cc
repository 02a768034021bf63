// How locks, conditions and semaphores are in clones: the name of the class, and its file.

#include <string>
#include <utility>

#include "sandbox/guest/shared/shared_lock.h"

namespace cloister::sandbox {
namespace {

constexpr SharedClass kClasses[] = {SharedClass::kLock, SharedClass::kCondition,
                                    SharedClass::kSemaphore};

bool Owns(PyTypeObject* type) {
  for (const SharedClass which : kClasses) {
    if (IsSharedClass(type, which)) return true;
  }
  return false;
}

bool Describe(PyObject* self, CloneHandle* handle, std::string*) {
  for (const SharedClass which : kClasses) {
    if (IsSharedClass(Py_TYPE(self), which)) handle->name = SharedClassName(which);
  }
  handle->size = RobustLock::FileBytes();
  handle->descriptors.push_back(
      IsSharedClass(Py_TYPE(self), SharedClass::kSemaphore)
          ? reinterpret_cast<SharedSemaphore*>(self)->state.memory->descriptor()
          : reinterpret_cast<SharedLock*>(self)->state.lock->file());
  return true;
}

PyRef Make(CloneHandle handle) {
  const size_t size = RobustLock::FileBytes();
  OpenDescriptor file = std::move(handle.descriptors.front());
  absl::Status status = CheckSharedFile(file->get(), 0, size);
  if (handle.offset != 0 || handle.size != size) {
    status = absl::InvalidArgumentError("what came as a lock has another size");
  }
  if (!status.ok()) return PyRef::Steal(RaiseStatus(status));
  for (const SharedClass which : kClasses) {
    if (handle.name != SharedClassName(which)) continue;
    return which == SharedClass::kSemaphore ? NewSharedSemaphore(std::move(file))
                                            : NewSharedLock(which, std::move(file));
  }
  PyErr_SetString(PyExc_ValueError, "no lock is called so");
  return PyRef();
}

}  // namespace

const CloneHandleType shared_lock_handles = {
    .kind = CloneKind::kSharedLock, .owns = Owns, .describe = Describe, .make = Make};

}  // namespace cloister::sandbox
