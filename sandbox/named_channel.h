// A channel of a sandbox that its interpreters find by name (internal/v1/mailbox.proto,
// OpenChannel).
//
// Part of the seam described in sandbox.h.

#ifndef CLOISTER_SANDBOX_NAMED_CHANNEL_H_
#define CLOISTER_SANDBOX_NAMED_CHANNEL_H_

#include <cstdint>
#include <vector>

#include "sandbox/base/unique_fd.h"

namespace cloister::sandbox {

// What one who asks gets of it.
struct NamedChannel {
  uint32_t capacity = 0;              // 0: as many messages as the kernel's buffer holds
  std::vector<UniqueFd> descriptors;  // as ChannelSent says
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_NAMED_CHANNEL_H_
