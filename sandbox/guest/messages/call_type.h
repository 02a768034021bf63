// A request to the host that is under way, as Python code has it; what starts one.
//
// Thread-safety: with the GIL.

#ifndef CLOISTER_SANDBOX_GUEST_MESSAGES_CALL_TYPE_H_
#define CLOISTER_SANDBOX_GUEST_MESSAGES_CALL_TYPE_H_

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// Adds to `names` (a dict), for the calling interpreter, once; a Request has
// result(timeout=None), is_ready(), is_closed(), fileno(), close(), and _hold() and _let_go() of
// loops:
//   call_host(function, args, kwargs) -> Request
//   call_interpreter(interpreter, name, args, kwargs) -> Request
//   request_interpreter(name, profile, imports, memory_limit_bytes) -> Request
//   end_spawned(name) -> Request
// False with a Python exception set.
bool AddCallFunctions(PyObject* names);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_CALL_TYPE_H_
