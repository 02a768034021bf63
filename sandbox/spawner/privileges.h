// The privileges of the spawner itself, and what its children start with.

#ifndef CLOISTER_SANDBOX_SPAWNER_PRIVILEGES_H_
#define CLOISTER_SANDBOX_SPAWNER_PRIVILEGES_H_

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace cloister::sandbox {

// Keeps the capabilities the spawner needs and gives up the others for good; cannot be dumped or
// traced by others from then on. The list with its reasons is in the .cc.
absl::Status DropUnneededPrivileges();

// Gives up every capability but these (CAP_ constants), as far as the caller has them.
absl::Status KeepOnlyCapabilities(absl::Span<const int> kept);

// Lets everything in the permitted set survive the next execve(2) of a program, whatever the uid.
absl::Status KeepCapabilitiesAcrossExec();

// As many descriptors as the hard limit allows: three for every live sandbox, and its
// cgroup's. As root also any number of signals in flight, over all sandboxes.
void RaiseLimits();

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_SPAWNER_PRIVILEGES_H_
