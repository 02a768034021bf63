// How a session is copied: the guest stands still, and each copy goes on with files, randomness and
// a channel of its own.

#ifndef CLOISTER_SANDBOX_GUEST_SESSION_COPY_H_
#define CLOISTER_SANDBOX_GUEST_SESSION_COPY_H_

#include "absl/status/status.h"
#include "sandbox/guest/python_object.h"
#include "sandbox/guest/session.h"

namespace cloister::sandbox {

// Answers PrepareFork, and returns when ResumeParent has come or there were obstacles; in a copy,
// when it has said Ready. `renew` is called in copies. The main thread, with the GIL. Errors: the
// channel is of no use any more.
absl::Status StandStillForCopies(Session* session, int channel, PyObject* renew);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_SESSION_COPY_H_
