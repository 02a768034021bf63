// How long a call may wait.

#ifndef CLOISTER_SANDBOX_GUEST_MESSAGES_DEADLINE_H_
#define CLOISTER_SANDBOX_GUEST_MESSAGES_DEADLINE_H_

#include <algorithm>
#include <cstdint>

#include "sandbox/base/monotonic_time.h"
#include "sandbox/guest/interruptible_waits.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

class Deadline {
 public:
  // Never.
  Deadline() = default;

  static Deadline Now() { return Deadline(0); }

  // Of a timeout in seconds, null or None for none. False with a Python exception set.
  static bool Parse(PyObject* timeout, Deadline* deadline) {
    int64_t nanoseconds = kForever;
    if (timeout != nullptr && !ToNanoseconds(timeout, &nanoseconds)) return false;
    *deadline =
        nanoseconds <= 0 ? Deadline(nanoseconds) : Deadline(MonotonicNanoseconds() + nanoseconds);
    return true;
  }

  bool IsNow() const { return at_ == 0; }

  // As WaitForDescriptors takes it.
  int64_t Left() const {
    return at_ <= 0 ? at_ : std::max<int64_t>(0, at_ - MonotonicNanoseconds());
  }

 private:
  explicit Deadline(int64_t at) : at_(at) {}

  int64_t at_ = kForever;  // 0: at once
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_MESSAGES_DEADLINE_H_
