// Resolved limits as clients see them.

#ifndef CLOISTER_SERVICE_CORE_LIMITS_PROTO_H_
#define CLOISTER_SERVICE_CORE_LIMITS_PROTO_H_

#include "cloister/v1/program.pb.h"
#include "sandbox/base/limits.h"

namespace cloister::core {

// Sets every field.
v1::Limits ToProto(const sandbox::Limits& limits);

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_LIMITS_PROTO_H_
