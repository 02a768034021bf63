// The life of the process that serves a live sandbox's files: C++ only, whatever language runtime
// it was cloned with.

#ifndef CLOISTER_SANDBOX_FILES_SERVE_FILES_H_
#define CLOISTER_SANDBOX_FILES_SERVE_FILES_H_

#include "cloister/internal/v1/guest.pb.h"

namespace cloister::sandbox {

// In a confined process that nobody else runs code in, its working directory being /workspace:
// answers SessionOpened, or SetupFailed, and then one FileRequest at a time until the host closes
// the channel. Returns the process's exit status. Must be called from the only thread.
int ServeFiles(int channel, const internal::v1::ServeFiles& request);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_FILES_SERVE_FILES_H_
