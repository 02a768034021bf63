// Event loops that wait for descriptors of messages (py/message_waits.py).
//
// Thread-safety: with the GIL.
// Errors: false with a Python exception set.

#ifndef CLOISTER_SANDBOX_GUEST_MESSAGES_LOOP_WAITS_H_
#define CLOISTER_SANDBOX_GUEST_MESSAGES_LOOP_WAITS_H_

#include "sandbox/guest/messages/message_ends.h"

namespace cloister::sandbox {

// Closes them, and tells the loops.
bool CloseEnds(MessageEnds* ends);

// Has the loops that hold them let go of them, and whoever waits there look again. Keeps an
// exception that is set.
bool TellLoops(const MessageEnds& ends);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_LOOP_WAITS_H_
