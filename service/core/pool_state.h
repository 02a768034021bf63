// One template's pool at one moment, for GetInfo, health and metrics.

#ifndef CLOISTER_SERVICE_CORE_POOL_STATE_H_
#define CLOISTER_SERVICE_CORE_POOL_STATE_H_

#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace cloister::core {

// Thread-safety: a value.
struct PoolState {
  int ready = 0;
  int starting = 0;
  // Handed out, until nothing is left of them.
  int leased = 0;
  // Set aside as live sandboxes; none of the other counts.
  int live = 0;
  // Discarded unused (age, rotation, surplus), until nothing is left of them.
  int recycling = 0;
  // Ready ones aimed at now.
  int target = 0;
  int minimum = 0;
  int maximum = 0;
  int waiting = 0;

  // Whether a lease can be expected to succeed: there is a ready sandbox, or the last attempt to make
  // one succeeded. False until the first one is ready.
  bool healthy = false;
  // Why not healthy; otherwise empty.
  std::string not_healthy_reason;
  // The last failure of a fork or a zygote, whether or not it was overcome since; empty if none.
  std::string last_error;

  // As the interpreter reports it; empty until a zygote is ready.
  std::string python_version;
  // Estimate of what one idle sandbox holds.
  int64_t idle_sandbox_bytes = 0;

  friend bool operator==(const PoolState&, const PoolState&) = default;
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_POOL_STATE_H_
