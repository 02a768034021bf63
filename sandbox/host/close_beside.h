// Closing what could take long beside the loop: the last descriptor of a socket in which a guest's
// messages wait frees them, and the memory that they carry, gigabytes perhaps.
//
// Thread-safety: any thread.

#ifndef CLOISTER_SANDBOX_HOST_CLOSE_BESIDE_H_
#define CLOISTER_SANDBOX_HOST_CLOSE_BESIDE_H_

#include <vector>

#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// Soon, in order, on a thread that exists for that alone.
void CloseBeside(std::vector<UniqueFd> descriptors);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_CLOSE_BESIDE_H_
