// What cloister_clone.h offers to extension modules.

#ifndef CLOISTER_SANDBOX_GUEST_CLONE_CLONE_C_API_H_
#define CLOISTER_SANDBOX_GUEST_CLONE_CLONE_C_API_H_

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// clone_c_api(): the capsule that is cloister._C_API.
PyObject* CloneCApi(PyObject*, PyObject*);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_CLONE_CLONE_C_API_H_
