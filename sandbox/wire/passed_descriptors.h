// Descriptors beside the bytes of a message between processes (SCM_RIGHTS).

#ifndef CLOISTER_SANDBOX_WIRE_PASSED_DESCRIPTORS_H_
#define CLOISTER_SANDBOX_WIRE_PASSED_DESCRIPTORS_H_

#include <sys/socket.h>

#include <vector>

#include "absl/types/span.h"
#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// Lays `descriptors`, at least one, out as the one control message of `header`. `control` is aligned as a
// cmsghdr, zeroed, and has CMSG_SPACE of them.
void AttachDescriptors(absl::Span<const int> descriptors, char* control, msghdr* header);

// Takes ownership of every descriptor that came, wanted or not.
std::vector<UniqueFd> TakeDescriptors(msghdr* header);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_WIRE_PASSED_DESCRIPTORS_H_
