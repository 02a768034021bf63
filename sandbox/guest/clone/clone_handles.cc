#include "sandbox/guest/clone/clone_handles.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sandbox/guest/clone/clone.h"
#include "sandbox/guest/clone/clone_path.h"

namespace cloister::sandbox {
namespace {

// Null behind the last.
const CloneHandleType* types[8];

bool Refuse(PyObject* exception, Py_ssize_t index, const std::string& problem) {
  if (exception == nullptr) return false;
  PyErr_SetString(exception, absl::StrCat("transfer[", index, "]: ", problem).c_str());
  return false;
}

}  // namespace

void AddCloneHandleType(const CloneHandleType* type) {
  size_t at = 0;
  while (types[at] != nullptr) ++at;
  types[at] = type;
}

const CloneHandleType* FindCloneHandleType(PyTypeObject* type) {
  for (const CloneHandleType* handle : types) {
    if (handle != nullptr && handle->owns(type)) return handle;
  }
  return nullptr;
}

const CloneHandleType* FindCloneHandleType(CloneKind kind, std::string_view name) {
  const CloneHandleType* found = nullptr;
  for (const CloneHandleType* handle : types) {
    if (handle == nullptr || handle->kind != kind) continue;
    if (handle->role != nullptr && name == handle->role) return handle;
    if (handle->role == nullptr) found = handle;
  }
  return found;
}

CloneHandles::CloneHandles(std::vector<UniqueFd> received) {
  descriptors_.reserve(received.size());
  for (UniqueFd& descriptor : received) {
    descriptors_.push_back(std::make_shared<const UniqueFd>(std::move(descriptor)));
  }
}

CloneHandles::~CloneHandles() { End(false); }

void CloneHandles::End(bool was_sent) {
  if (handovers_.empty()) return;
  const Here here;
  for (Handover& handover : std::exchange(handovers_, {})) {
    handover.type->end_handover(handover.object.get(here), was_sent);
  }
}

bool CloneHandles::HandOver(PyObject* objects) {
  const Here here;
  const PyRef list = PyRef::Steal(PySequence_Tuple(objects));
  for (Py_ssize_t i = 0; list && i < PyTuple_GET_SIZE(list.get()); ++i) {
    PyObject* object = PyTuple_GET_ITEM(list.get(), i);
    const CloneHandleType* type = FindCloneHandleType(Py_TYPE(object));
    if (type == nullptr || type->begin_handover == nullptr) {
      return Refuse(DataCloneError(), i, TypeName(Py_TYPE(object)) + " cannot be transferred");
    }
    if (IsHandedOver(object)) return Refuse(PyExc_ValueError, i, "is there twice");
    if (!type->begin_handover(object)) return false;
    handovers_.push_back({HomeRef(here, PyRef::Borrow(object)), type});
  }
  return static_cast<bool>(list);
}

std::vector<int> CloneHandles::descriptors() const {
  std::vector<int> numbers;
  numbers.reserve(descriptors_.size());
  for (const OpenDescriptor& descriptor : descriptors_) numbers.push_back(descriptor->get());
  return numbers;
}

bool CloneHandles::IsHandedOver(PyObject* object) const {
  const Here here;
  return std::any_of(handovers_.begin(), handovers_.end(),
                     [&](const Handover& handover) { return handover.object.get(here) == object; });
}

void CloneHandles::Add(PyObject* object, OpenDescriptor descriptor) {
  descriptors_.push_back(std::move(descriptor));
  objects_.push_back(object);
}

void CloneHandles::Truncate(size_t count) {
  descriptors_.resize(count);
  objects_.resize(count);
}

bool CloneHandles::CheckComplete() const {
  const Here here;
  Py_ssize_t index = 0;
  for (const Handover& handover : handovers_) {
    const auto is_in = [object = handover.object.get(here)](const std::vector<PyObject*>& objects) {
      return std::find(objects.begin(), objects.end(), object) != objects.end();
    };
    if (!is_in(objects_) && !is_in(contents_)) {
      return Refuse(PyExc_ValueError, index, "is not in the message");
    }
    ++index;
  }
  return true;
}

OpenDescriptor CloneHandles::Take(size_t number) {
  return number < descriptors_.size() ? std::move(descriptors_[number]) : nullptr;
}

}  // namespace cloister::sandbox
