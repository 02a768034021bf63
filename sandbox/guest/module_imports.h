// Imports that a host asks for before the first cell, and what those meet that an interpreter
// refuses.

#ifndef CLOISTER_SANDBOX_GUEST_MODULE_IMPORTS_H_
#define CLOISTER_SANDBOX_GUEST_MODULE_IMPORTS_H_

#include <string>

#include "cloister/internal/v1/interpreters.pb.h"
#include "google/protobuf/repeated_field.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// Imports them in order. False, without a Python exception, with `failed` filled at the first that
// cannot be.
bool ImportModules(const google::protobuf::RepeatedPtrField<std::string>& modules,
                   internal::v1::ImportFailed* failed);

// In an interpreter other than main: the ImportError of an extension module that it refuses to load
// gets a note that names the profiles that load it; and the check is not the program's to switch
// off, since modules that rely on it corrupt memory. False with a Python exception set.
bool ExplainRefusedImports(bool is_isolated);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MODULE_IMPORTS_H_
