// The limits a guest puts on itself, from those the host resolved.

#ifndef CLOISTER_SANDBOX_HOST_GUEST_LIMITS_H_
#define CLOISTER_SANDBOX_HOST_GUEST_LIMITS_H_

#include "cloister/internal/v1/guest.pb.h"
#include "sandbox/base/limits.h"
#include "sandbox/host/sandbox_parts.h"

namespace cloister::sandbox {

// Without cpu_seconds, which is for a process that runs one program.
internal::v1::GuestLimits GuestLimitsOf(const Limits& limits, const SandboxParts& parts);

// RLIMIT_CPU behind the host's own limit: whole seconds, above it.
int64_t CpuRlimitSeconds(const Limits& limits);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_GUEST_LIMITS_H_
