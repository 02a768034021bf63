#include "sandbox/guest/shared/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <ctime>

#include "sandbox/base/monotonic_time.h"
#include "sandbox/guest/interrupts.h"

namespace cloister::sandbox {
namespace {

constexpr int64_t kSliceNanoseconds = 1'000'000'000;
constexpr double kNanosecondsPerSecond = 1e9;
constexpr double kMaxSeconds = 1e9;

}  // namespace

bool ToDeadline(PyObject* timeout, Deadline* deadline) {
  *deadline = kNever;
  if (timeout == nullptr || timeout == Py_None) return true;
  const double seconds = PyFloat_AsDouble(timeout);
  if (seconds == -1 && PyErr_Occurred() != nullptr) return false;
  if (std::isnan(seconds)) {
    PyErr_SetString(PyExc_ValueError, "a timeout is a number of seconds, and not NaN");
    return false;
  }
  if (seconds < kMaxSeconds) {
    *deadline = MonotonicNanoseconds() +
                static_cast<int64_t>(std::ceil(std::max(0.0, seconds) * kNanosecondsPerSecond));
  }
  return true;
}

int64_t NextSlice(Deadline deadline) {
  if (deadline == kNever) return kSliceNanoseconds;
  return std::clamp<int64_t>(deadline - MonotonicNanoseconds(), 0, kSliceNanoseconds);
}

Woken FutexWait(const uint32_t* word, uint32_t expected, int64_t nanoseconds) {
  const timespec time = {static_cast<time_t>(nanoseconds / 1'000'000'000),
                         nanoseconds % 1'000'000'000};
  if (syscall(SYS_futex, word, FUTEX_WAIT, expected, &time, nullptr, 0) == 0) return Woken::kYes;
  return errno == EAGAIN ? Woken::kChanged : Woken::kSliceIsOver;
}

int FutexWake(const uint32_t* word, int count) {
  const long woken = syscall(SYS_futex, word, FUTEX_WAKE, count, nullptr, nullptr, 0);
  return woken < 0 ? 0 : static_cast<int>(woken);
}

bool WaitInterruptibly(const uint32_t* word, uint32_t expected, Deadline deadline, Woken* woken) {
  for (;;) {
    if (CheckInterrupts() != 0) return false;
    const int64_t slice = NextSlice(deadline);
    Py_BEGIN_ALLOW_THREADS;
    *woken = FutexWait(word, expected, slice);
    Py_END_ALLOW_THREADS;
    if (*woken != Woken::kSliceIsOver) return true;
    if (slice == 0 || NextSlice(deadline) == 0) return CheckInterrupts() == 0;
  }
}

}  // namespace cloister::sandbox
