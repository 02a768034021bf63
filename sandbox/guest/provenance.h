// Which interpreter an object belongs to, where that is not plain from the code: what is kept
// beside things that are used without a GIL, or by threads of several interpreters.
//
// An object of one interpreter must not be touched in another: not even its count of references.
// A HomeRef keeps one from being touched by mistake: there is no way to the object without a Here,
// which only code with a GIL can have, and which is not to be kept. That the GIL is the right one
// is checked at each touch; who has another one ends the process, with both interpreters named.
//
// What types cannot see: a Here that is used after its GIL was let go of (Py_BEGIN_ALLOW_THREADS).
// It costs a comparison.
//
// Thread-safety: Here, the thread that made it. HomeRef may be moved and looked at by any thread.

#ifndef CLOISTER_SANDBOX_GUEST_PROVENANCE_H_
#define CLOISTER_SANDBOX_GUEST_PROVENANCE_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// The token: the calling thread has this interpreter's GIL.
class Here {
 public:
  // Ends the process where the calling thread has none.
  Here();
  // It is passed down by reference, and ends with its scope.
  Here(const Here&) = delete;
  Here& operator=(const Here&) = delete;
  static void* operator new(size_t) = delete;
  static void* operator new[](size_t) = delete;

 private:
  friend class HomeRef;
  const int64_t interpreter_;  // its id, which no other one gets
};

// A strong reference, or nothing, that remembers whose it is. Dropped with a GIL.
class HomeRef {
 public:
  HomeRef() = default;
  HomeRef(const Here& here, PyRef object) : object_(object.release()), home_(here.interpreter_) {}
  HomeRef(HomeRef&& other) noexcept
      : object_(std::exchange(other.object_, nullptr)), home_(other.home_) {}
  HomeRef& operator=(HomeRef&& other) noexcept {
    std::swap(object_, other.object_);
    std::swap(home_, other.home_);
    return *this;
  }
  ~HomeRef() {
    if (object_ != nullptr) (void)Take(Here());
  }

  // Borrowed.
  PyObject* get(const Here& here) const {
    Check(here);
    return object_;
  }
  PyRef Take(const Here& here) {
    Check(here);
    return PyRef::Steal(std::exchange(object_, nullptr));
  }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  void Check(const Here& here) const {
    if (object_ != nullptr && here.interpreter_ != home_) EndForStranger(here);
  }
  [[noreturn]] void EndForStranger(const Here& here) const;

  PyObject* object_ = nullptr;
  int64_t home_ = -1;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_PROVENANCE_H_
