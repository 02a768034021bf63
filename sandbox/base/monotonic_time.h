// A clock that never jumps, for measuring how long things take.

#ifndef CLOISTER_SANDBOX_BASE_MONOTONIC_TIME_H_
#define CLOISTER_SANDBOX_BASE_MONOTONIC_TIME_H_

#include <time.h>

#include <cstdint>

namespace cloister::sandbox {

// Comparable between all processes of the machine. Only differences mean anything.
inline int64_t MonotonicNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_BASE_MONOTONIC_TIME_H_
