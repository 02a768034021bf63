// Which objects may be keys of dicts and items of sets in a clone: those whose hash and equality
// are known not to run code of users.
//
// Both sides ask: the sender, to refuse; the receiver, because what it is told to hash may be
// anything. Thread-safety: the thread that holds the GIL only.

#ifndef CLOISTER_SANDBOX_GUEST_CLONE_KEY_CHECK_H_
#define CLOISTER_SANDBOX_GUEST_CLONE_KEY_CHECK_H_

#include <cstddef>
#include <string>
#include <vector>

#include "sandbox/guest/clone/clone_types.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

class KeyChecker {
 public:
  // `open` are the tuples and frozensets that are being walked: their hash is not known yet.
  KeyChecker(CloneTypes& types, const std::vector<PyObject*>& open) : types_(types), open_(open) {}

  // Those that need no look: nothing is in them, and their hash is C.
  static bool IsSimple(PyTypeObject* type) {
    return type == &PyUnicode_Type || type == &PyLong_Type || type == &PyBytes_Type ||
           type == &PyFloat_Type || type == &PyBool_Type || type == Py_TYPE(Py_None);
  }

  // False where it may not; problem() says why.
  bool Check(PyObject* key) { return IsSimple(Py_TYPE(key)) || CheckWithin(key, 0); }

  const std::string& problem() const { return problem_; }

 private:
  bool CheckWithin(PyObject* key, size_t depth);
  bool CheckItems(PyObject* tuple, size_t depth);
  bool CheckInstance(PyTypeObject* type);
  bool Refuse(PyTypeObject* type);

  CloneTypes& types_;
  const std::vector<PyObject*>& open_;
  // Tuples within tuples can make a hash take for ever: looked at in all keys of a clone.
  size_t looks_ = 0;
  std::string problem_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_CLONE_KEY_CHECK_H_
