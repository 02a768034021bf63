// The exceptions of messages.
//
// Thread-safety: with the GIL.

#ifndef CLOISTER_SANDBOX_GUEST_MESSAGES_MESSAGE_ERRORS_H_
#define CLOISTER_SANDBOX_GUEST_MESSAGES_MESSAGE_ERRORS_H_

#include <string>

#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// Each sets a Python exception and returns false.
bool RaiseChannelClosed(const char* message);
bool RaiseDataCloneError(const std::string& message);
// TimeoutError.
bool RaiseTimeout(const char* message);
// queue.Empty or queue.Full.
bool RaiseOfQueue(const char* name);
// OSError of errno.
bool RaiseErrno();

// Whether an errno of sendmsg or recvmsg says that nobody has the other end.
bool IsClosedError(int error);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_MESSAGE_ERRORS_H_
