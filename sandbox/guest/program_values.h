// The values of a program: variables before its code, a call after it, and the typed form of what
// comes of it. Clones are made and checked by the host (guest.proto).
//
// Thread-safety: the interpreter's first thread, with the GIL.
// Errors: empty or false with a Python exception set.

#ifndef CLOISTER_SANDBOX_GUEST_PROGRAM_VALUES_H_
#define CLOISTER_SANDBOX_GUEST_PROGRAM_VALUES_H_

#include "cloister/internal/v1/guest.pb.h"
#include "cloister/v1/program.pb.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// Whether what the program comes to is to be told, and typed.
inline bool WantsValue(const v1::Program& program) {
  return program.return_value() || program.has_call();
}
inline bool WantsTypedValue(const v1::Program& program) {
  return program.value_form() == v1::VALUE_FORM_TYPED;
}

// Sets variables in `names`.
bool ApplyVariables(const internal::v1::ProgramClones& clones, PyObject* names);

// The call as arguments of `_call` in py/cell.py; None for a program without one.
PyRef DescribeCall(const v1::Program& program, const internal::v1::ProgramClones& clones);

// What `find_function` of py/program.py finds, called. `names` is the namespace of __main__.
PyRef CallFunction(PyObject* find_function, const v1::Program& program,
                   const internal::v1::ProgramClones& clones, PyObject* names);

// Fills value_clone; where the value cannot be cloned, clone_error and the text in `value`.
bool DescribeTyped(PyObject* value, internal::v1::Finished* finished);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_PROGRAM_VALUES_H_
