// The way from the root of a value to what cannot be cloned, as messages name it: `$.users[3]`.
//
// Collected from the culprit upwards while the walk returns, so that a walk which succeeds pays
// nothing for it. Thread-safety: the thread that holds the GIL only. No user code is run.

#ifndef CLOISTER_SANDBOX_GUEST_CLONE_CLONE_PATH_H_
#define CLOISTER_SANDBOX_GUEST_CLONE_CLONE_PATH_H_

#include <string>
#include <string_view>
#include <vector>

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

class ClonePath {
 public:
  void AddIndex(Py_ssize_t index) { steps_.push_back("[" + std::to_string(index) + "]"); }
  void AddSetItem(Py_ssize_t index) { steps_.push_back("{" + std::to_string(index) + "}"); }
  void AddKey(Py_ssize_t index) { steps_.push_back(".keys()[" + std::to_string(index) + "]"); }
  void AddAttribute(std::string_view name) { steps_.push_back("." + std::string(name)); }
  // The value that a dict has for it; not where a Python exception is set, which has no path.
  void AddValueOf(PyObject* key);

  void Clear() { steps_.clear(); }
  // From `$` on; of a long way only the first steps and "…".
  std::string Text() const;

 private:
  std::vector<std::string> steps_;  // the last one first
};

// An object as a message shows it, at most 64 characters: what is of a simple builtin type in full,
// of others their type.
std::string Describe(PyObject* object);

// "module.name" of a class, without "builtins.".
std::string TypeName(PyTypeObject* type);

// The parts of that; empty where a program has put something odd in their places.
std::string TypeModule(PyTypeObject* type);
std::string TypeQualifiedName(PyTypeObject* type);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_CLONE_CLONE_PATH_H_
