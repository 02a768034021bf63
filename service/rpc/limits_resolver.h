// Turns the limits a request asks for into the limits that hold.

#ifndef CLOISTER_SERVICE_RPC_LIMITS_RESOLVER_H_
#define CLOISTER_SERVICE_RPC_LIMITS_RESOLVER_H_

#include <string>
#include <string_view>

#include "cloister/v1/program.pb.h"
#include "sandbox/base/limits.h"
#include "service/rpc/violations.h"

namespace cloister::rpc {

// What an unset field means, and what a field may be at most.
struct LimitsPolicy {
  sandbox::Limits defaults;
  sandbox::Limits maximum;
};

// What maximum_limits means where the configuration leaves it unset.
sandbox::Limits BuiltInMaximumLimits();

// `asked` with the policy's defaults filled in. Nothing is clamped: a field that is not positive or
// above the maximum is added to `violations` under `prefix` (e.g. "limits"), and the result is then
// not to be used.
sandbox::Limits ResolveLimits(const v1::Limits& asked, const LimitsPolicy& policy,
                              const std::string& prefix, Violations* violations);

// A Duration message that is well formed, positive and at most `maximum`; otherwise a violation.
absl::Duration CheckedDuration(const google::protobuf::Duration& duration, absl::Duration maximum,
                               std::string_view field, Violations* violations);

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_LIMITS_RESOLVER_H_
