// A gRPC deadline on the loop's clock.

#ifndef CLOISTER_SERVICE_RPC_DEADLINE_H_
#define CLOISTER_SERVICE_RPC_DEADLINE_H_

#include <chrono>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "sandbox/base/loop.h"

namespace cloister::rpc {

// On the loop. `deadline` is the wall clock's, its maximum where the caller set none.
inline absl::Time LoopDeadline(const sandbox::Loop& loop,
                               std::chrono::system_clock::time_point deadline) {
  if (deadline == std::chrono::system_clock::time_point::max()) return absl::InfiniteFuture();
  return loop.Now() + (absl::FromChrono(deadline) - absl::Now());
}

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_DEADLINE_H_
