#include "sandbox/guest/interruptible_waits.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <ctime>

#include "sandbox/base/monotonic_time.h"
#include "sandbox/guest/interruptible_lock.h"
#include "sandbox/guest/interrupts.h"

namespace cloister::sandbox {
namespace {

constexpr double kNanosecondsPerSecond = 1e9;
// Longer waits are waits without end.
constexpr double kMaxSeconds = 1e9;

// Blocks all signals for its lifetime.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &usual_);
  }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &usual_, nullptr); }

  const sigset_t* usual() const { return &usual_; }

 private:
  sigset_t usual_;
};

bool Blocks(int descriptor) {
  const int flags = fcntl(descriptor, F_GETFL);
  return flags >= 0 && (flags & O_NONBLOCK) == 0;
}

PyObject* WaitReady(PyObject*, PyObject* arguments) {
  int descriptor;
  short events;
  PyObject* seconds;
  int only_blocking = 0;
  int64_t nanoseconds;
  if (!PyArg_ParseTuple(arguments, "ihO|p:wait_ready", &descriptor, &events, &seconds,
                        &only_blocking) ||
      !ToNanoseconds(seconds, &nanoseconds)) {
    return nullptr;
  }
  if (only_blocking != 0 && !Blocks(descriptor)) return Py_NewRef(Py_True);
  const int ready = WaitForDescriptor(descriptor, events, nanoseconds);
  return ready < 0 ? nullptr : PyBool_FromLong(ready);
}

#if PY_VERSION_HEX < 0x030F0000
// time.sleep; `self` is the original, which short sleeps and wrong arguments are left to.
PyObject* Sleep(PyObject* self, PyObject* seconds) {
  constexpr double kShortSeconds = 0.005;
  const double value = PyFloat_AsDouble(seconds);
  PyErr_Clear();
  if (!(value > kShortSeconds && value < kMaxSeconds)) return PyObject_CallOneArg(self, seconds);
  const auto nanoseconds = static_cast<int64_t>(value * kNanosecondsPerSecond);
  return WaitForDescriptor(-1, 0, nanoseconds) < 0 ? nullptr : Py_NewRef(Py_None);
}

PyMethodDef sleep_method = {"sleep", Sleep, METH_O, nullptr};

bool InstallSleep() {
  PyRef time = PyRef::Steal(PyImport_ImportModule("time"));
  PyRef original = PyRef::Steal(time ? PyObject_GetAttrString(time.get(), "sleep") : nullptr);
  if (!original) return false;
  CopyDocumentation(original.get(), &sleep_method);
  PyRef sleep = PyRef::Steal(PyCFunction_New(&sleep_method, original.get()));
  return sleep && PyObject_SetAttrString(time.get(), "sleep", sleep.get()) == 0;
}
#else
bool InstallSleep() { return true; }
#endif

}  // namespace

PyMethodDef wait_ready_method = {"wait_ready", WaitReady, METH_VARARGS, nullptr};

bool ToNanoseconds(PyObject* seconds, int64_t* nanoseconds) {
  *nanoseconds = kForever;
  if (seconds == Py_None) return true;
  const double value = PyFloat_AsDouble(seconds);
  if (value == -1 && PyErr_Occurred() != nullptr) return false;
  if (std::isnan(value) || value < kMaxSeconds) {
    *nanoseconds = static_cast<int64_t>(std::max(0.0, value) * kNanosecondsPerSecond);
  }
  return true;
}

int WaitForDescriptor(int descriptor, short events, int64_t nanoseconds) {
  pollfd polled = {descriptor, events, 0};
  return WaitForDescriptors(&polled, 1, nanoseconds);
}

int WaitForDescriptors(pollfd* polled, nfds_t count, int64_t nanoseconds, const bool* stop) {
  const int64_t deadline = nanoseconds < 0 ? 0 : MonotonicNanoseconds() + nanoseconds;
  const AllSignalsBlocked blocked;
  for (;;) {
    if (CheckInterrupts() != 0) return -1;
    if (stop != nullptr && *stop) return 1;
    const int64_t left =
        nanoseconds < 0 ? 0 : std::max<int64_t>(0, deadline - MonotonicNanoseconds());
    const timespec time = {static_cast<time_t>(left / 1'000'000'000), left % 1'000'000'000};
    int ready;
    Py_BEGIN_ALLOW_THREADS;
    ready = ppoll(polled, count, nanoseconds < 0 ? nullptr : &time, blocked.usual());
    Py_END_ALLOW_THREADS;
    if (ready >= 0) return ready > 0;
  }
}

bool InstallInterruptibleWaits() { return InstallInterruptibleLocks() && InstallSleep(); }

}  // namespace cloister::sandbox
