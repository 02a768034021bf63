#include "sandbox/guest/messages/short_waits.h"

#include "sandbox/base/monotonic_time.h"

namespace cloister::sandbox {

bool LookFor(pollfd* polled, nfds_t count, int64_t nanoseconds) {
  const int64_t end = MonotonicNanoseconds() + nanoseconds;
  do {
    // No sched_yield() between: on a loaded machine others take milliseconds then.
    if (poll(polled, count, 0) > 0) return true;
  } while (MonotonicNanoseconds() < end);
  return false;
}

}  // namespace cloister::sandbox
