// Owned references to Python objects, and the way from Python's errors and strings to ours.
//
// The only header besides the .cc files of this directory that includes Python.h: everything else
// of the project is free of CPython.
//
// Thread-safety: the thread that holds the GIL only.
// Errors: functions that return PyRef leave it empty with a Python exception set, as the C API
// does.

#ifndef CLOISTER_SANDBOX_GUEST_PYTHON_OBJECT_H_
#define CLOISTER_SANDBOX_GUEST_PYTHON_OBJECT_H_

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "sandbox/guest/arena_owners.h"

namespace cloister::sandbox {

// A strong reference, or nothing.
class PyRef {
 public:
  PyRef() = default;
  PyRef(PyRef&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  PyRef& operator=(PyRef&& other) noexcept {
    // Last, because dropping an object can run any code.
    PyObject* old = std::exchange(object_, std::exchange(other.object_, nullptr));
    Py_XDECREF(old);
    return *this;
  }
  ~PyRef() { Py_XDECREF(object_); }

  // Takes over a reference the caller owns ("new reference" in Python's documentation).
  static PyRef Steal(PyObject* object) { return PyRef(Checked(object)); }
  // Adds one of its own.
  static PyRef Borrow(PyObject* object) { return PyRef(Py_XNewRef(Checked(object))); }

  PyObject* get() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }
  [[nodiscard]] PyObject* release() { return std::exchange(object_, nullptr); }
  void reset() { *this = PyRef(); }

 private:
  explicit PyRef(PyObject* object) : object_(object) {}

  static PyObject* Checked(PyObject* object) {
    if (checks_owners) [[unlikely]] CheckOwner(object);
    return object;
  }

  PyObject* object_ = nullptr;
};

// Takes the current Python exception, which must be set, as "WHAT: Type: text".
absl::Status TakePythonError(absl::string_view what);

// What of a long string is kept.
enum class Cut { kMiddle, kEnd };

// The text of a str in at most `max_bytes` of valid UTF-8; lone surrogates are escaped as on
// stderr. kMiddle leaves a mark where it cut, kEnd does not. `truncated`, where not null, is set if
// it cut. What is no str, or does not fit into memory, gives "".
std::string ToUtf8(PyObject* text, size_t max_bytes, Cut cut, bool* truncated = nullptr);

// Gives `definition`, a static one that all interpreters use, the documentation of the builtin
// function that it stands in for.
void CopyDocumentation(PyObject* original, PyMethodDef* definition);

// A str of bytes as the system gives them: UTF-8, other bytes as surrogate escapes.
PyRef FromFileSystem(std::string_view bytes);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_PYTHON_OBJECT_H_
