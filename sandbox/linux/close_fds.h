// Closing what a confined process must not inherit.

#ifndef CLOISTER_SANDBOX_LINUX_CLOSE_FDS_H_
#define CLOISTER_SANDBOX_LINUX_CLOSE_FDS_H_

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace cloister::sandbox {

// Closes every descriptor that is not in `kept`, which is sorted, without negative numbers and
// without duplicates (else INVALID_ARGUMENT). Descriptors in `kept` need not be open. Costs one
// close_range(2) per gap, whatever the number of descriptors. Does not allocate on success.
absl::Status CloseAllExcept(absl::Span<const int> kept);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_LINUX_CLOSE_FDS_H_
