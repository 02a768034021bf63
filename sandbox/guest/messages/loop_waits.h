// Event loops that wait for descriptors of messages (py/message_waits.py).
//
// Thread-safety: with the GIL.
// Errors: false or null with a Python exception set.

#ifndef CLOISTER_SANDBOX_GUEST_MESSAGES_LOOP_WAITS_H_
#define CLOISTER_SANDBOX_GUEST_MESSAGES_LOOP_WAITS_H_

#include <cstddef>

#include "sandbox/guest/messages/message_ends.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// Closes them, and tells the loops.
bool CloseEnds(MessageEnds* ends);

// Has the loops that hold them let go of them, and whoever waits there look again. Keeps an
// exception that is set.
bool TellLoops(const MessageEnds& ends);

// What py/message_waits.py calls to hold a descriptor: gives the number of a duplicate; and to let
// go of that.
PyObject* HoldEnd(MessageEnds* ends, size_t index);
PyObject* LetGoOfEnd(MessageEnds* ends, PyObject* duplicate);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_LOOP_WAITS_H_
