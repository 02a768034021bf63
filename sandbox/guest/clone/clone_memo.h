// Which objects a clone has numbered so far, by address.
//
// Thread-safety: the thread that holds the GIL only. Ownership: none of the objects; where Python
// code is about to run that could free one, so that its address comes to be another's, Hold() takes
// a reference to each, and to those that follow.

#ifndef CLOISTER_SANDBOX_GUEST_CLONE_CLONE_MEMO_H_
#define CLOISTER_SANDBOX_GUEST_CLONE_CLONE_MEMO_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

class CloneMemo {
 public:
  struct Slot {
    PyObject* object = nullptr;
    uint32_t number = 0;
    // Numbered, but a reference to it would come before it exists.
    bool is_pending = false;
  };

  CloneMemo() = default;
  CloneMemo(const CloneMemo&) = delete;
  CloneMemo& operator=(const CloneMemo&) = delete;
  ~CloneMemo();

  uint32_t count() const { return count_; }

  // The object's slot; one without an object where it has no number yet, to be given to Add.
  Slot* Find(PyObject* object) {
    size_t at = Hash(object) & mask_;
    while (slots_[at].object != object && slots_[at].object != nullptr) at = (at + 1) & mask_;
    return &slots_[at];
  }

  // Gives it the next number; `slot` is what Find said. False where there is no memory.
  bool Add(Slot* slot, PyObject* object, bool is_pending) {
    *slot = {object, count_++, is_pending};
    if (is_held_) Py_INCREF(object);
    return count_ * size_t{2} <= mask_ || Grow();
  }

  // The object exists now where it is decoded.
  void Complete(PyObject* object) { Find(object)->is_pending = false; }

  void Hold();

  // Forgets those with the number `count` and above.
  bool Forget(uint32_t count);

 private:
  static constexpr size_t kFirstSlots = 64;

  static size_t Hash(PyObject* object) {
    return static_cast<size_t>((reinterpret_cast<uintptr_t>(object) * 0x9E3779B97F4A7C15u) >> 32);
  }
  bool Grow();
  bool Rebuild(size_t slot_count);

  Slot first_[kFirstSlots];
  Slot* slots_ = first_;
  size_t mask_ = kFirstSlots - 1;
  uint32_t count_ = 0;
  bool is_held_ = false;
  std::vector<PyRef> forgotten_;  // objects whose end could run code, until there is nothing to see
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_CLONE_CLONE_MEMO_H_
