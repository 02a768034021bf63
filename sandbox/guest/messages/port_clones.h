// Channels and their ends in messages: clones whose descriptors travel beside them.
//
// Thread-safety: with the GIL, but for the first.

#ifndef CLOISTER_SANDBOX_GUEST_MESSAGES_PORT_CLONES_H_
#define CLOISTER_SANDBOX_GUEST_MESSAGES_PORT_CLONES_H_

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// Once, before CPython starts.
void AddPortClones();

// The calling interpreter's class for a role: "channel", "sender", "receiver" or "queue". False
// with a Python exception set.
bool RegisterPortClass(const char* role, PyObject* type);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_PORT_CLONES_H_
