// The arguments of a function with METH_FASTCALL | METH_KEYWORDS, for functions that are called for
// each message.
//
// Thread-safety: with the GIL.

#ifndef CLOISTER_SANDBOX_GUEST_MESSAGES_ARGUMENTS_H_
#define CLOISTER_SANDBOX_GUEST_MESSAGES_ARGUMENTS_H_

#include <array>
#include <cstddef>

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// What a function takes: the first so many names by position as well, of which the first so many
// have to be there.
template <size_t kCount>
struct Signature {
  const char* function;
  std::array<const char*, kCount> names;
  size_t positional;
  size_t required;

  // Fills `values`, borrowed, with null for what is not there. False with a Python exception set.
  bool Parse(PyObject* const* arguments, Py_ssize_t count, PyObject* keywords,
             std::array<PyObject*, kCount>* values) const {
    values->fill(nullptr);
    const auto given = static_cast<size_t>(count);
    if (given > positional) {
      PyErr_Format(PyExc_TypeError, "%s() takes at most %zu positional arguments (%zu given)",
                   function, positional, given);
      return false;
    }
    for (size_t i = 0; i < given; ++i) (*values)[i] = arguments[i];
    const Py_ssize_t named = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
    for (Py_ssize_t i = 0; i < named; ++i) {
      PyObject* name = PyTuple_GET_ITEM(keywords, i);
      size_t at = 0;
      while (at < kCount && PyUnicode_EqualToUTF8(name, names[at]) == 0) ++at;
      if (at == kCount || (*values)[at] != nullptr) {
        PyErr_Format(PyExc_TypeError, "%s() got an argument %R that it %s", function, name,
                     at == kCount ? "does not take" : "has already");
        return false;
      }
      (*values)[at] = arguments[count + i];
    }
    for (size_t i = 0; i < required; ++i) {
      if ((*values)[i] != nullptr) continue;
      PyErr_Format(PyExc_TypeError, "%s() takes an argument '%s'", function, names[i]);
      return false;
    }
    return true;
  }
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_ARGUMENTS_H_
