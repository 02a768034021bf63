// The process of a live sandbox that holds its interpreters of profile isolated and shared_gil.
//
// Its main interpreter stays idle: the first thread waits for frames in C++ without the GIL. That
// is what other interpreters count on: CPython imports an extension module under main's GIL when it
// is imported for the first time, and an isolated interpreter would wait for whatever main did in C
// meanwhile.

#ifndef CLOISTER_SANDBOX_GUEST_INTERPRETERS_PROCESS_H_
#define CLOISTER_SANDBOX_GUEST_INTERPRETERS_PROCESS_H_

#include "cloister/internal/v1/guest.pb.h"

namespace cloister::sandbox {

// Serves a host's frames about interpreters until it closes the channel; returns the process's exit
// status. On the main thread, with the GIL. CPython 3.13 is answered with SetupFailed: there,
// interpreters leak 1.7 MB each, and several of them that import at the same time abort the
// process.
int ServeInterpreters(int channel, const internal::v1::ServeInterpreters& request);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_INTERPRETERS_PROCESS_H_
