#include "sandbox/guest/clone/clone_memo.h"

#include <utility>

namespace cloister::sandbox {

CloneMemo::~CloneMemo() {
  for (size_t i = 0; is_held_ && i <= mask_; ++i) Py_XDECREF(slots_[i].object);
  if (slots_ != first_) PyMem_RawFree(slots_);
}

void CloneMemo::Hold() {
  if (std::exchange(is_held_, true)) return;
  for (size_t i = 0; i <= mask_; ++i) Py_XINCREF(slots_[i].object);
}

bool CloneMemo::Grow() { return Rebuild(4 * (mask_ + 1)); }

bool CloneMemo::Forget(uint32_t count) {
  if (count == count_) return true;
  for (size_t i = 0; i <= mask_; ++i) {
    Slot& slot = slots_[i];
    if (slot.object == nullptr || slot.number < count) continue;
    if (is_held_) forgotten_.push_back(PyRef::Steal(slot.object));
    slot.object = nullptr;
  }
  count_ = count;
  // Those that stay must be found without the ones that are gone.
  return Rebuild(mask_ + 1);
}

bool CloneMemo::Rebuild(size_t slot_count) {
  auto* slots = static_cast<Slot*>(PyMem_RawCalloc(slot_count, sizeof(Slot)));
  if (slots == nullptr) return false;
  Slot* old = std::exchange(slots_, slots);
  const size_t old_mask = std::exchange(mask_, slot_count - 1);
  for (size_t i = 0; i <= old_mask; ++i) {
    if (old[i].object != nullptr) *Find(old[i].object) = old[i];
  }
  if (old != first_) PyMem_RawFree(old);
  return true;
}

}  // namespace cloister::sandbox
