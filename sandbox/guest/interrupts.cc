#include "sandbox/guest/interrupts.h"

#include <signal.h>

#include "sandbox/base/syscall_status.h"

namespace cloister::sandbox {
namespace {

// A bit of PyThreadState.eval_breaker that is no part of the C API. The build reads it from the
// internal headers of the image's CPython (CMakeLists.txt); PyThreadState_SetAsyncExc sets the
// same, but has to wait for the GIL, which a runaway computation does not give away.
constexpr uintptr_t kAsyncExceptionBit = uintptr_t{1} << 3;
static_assert(kAsyncExceptionBit == uintptr_t{1} << CLOISTER_ASYNC_EXCEPTION_BIT,
              "this CPython has its bit for asynchronous exceptions elsewhere: look at how "
              "PyThreadState_SetAsyncExc schedules them before changing this");

// One that programs have no use for, so that nothing of theirs is in its way.
int InterruptSignal() { return SIGRTMAX - 1; }

void DoNothing(int) {}

void SetInterruptsBlocked(bool blocked) {
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  pthread_sigmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &interrupt, nullptr);
}

PyObject* TakeAsyncException(PyThreadState* state) {
  PyObject* none = nullptr;
  PyObject* exception = nullptr;
  __atomic_exchange(&state->async_exc, &none, &exception, __ATOMIC_SEQ_CST);
  return exception;
}

}  // namespace

int CheckInterrupts() {
  PyThreadState* state = PyThreadState_Get();
  if (PyThreadState_GetInterpreter(state) != PyInterpreterState_Main()) {
    PyRef exception = PyRef::Steal(TakeAsyncException(state));
    if (exception) {
      PyErr_SetNone(exception.get());
      return -1;
    }
  }
  return PyErr_CheckSignals();
}

void SignalGate::Open() {
  SetInterruptsBlocked(false);
  if (PyErr_CheckSignals() != 0) PyErr_Clear();
}

void SignalGate::Close() { SetInterruptsBlocked(true); }

void ThreadGate::Open() {
  const std::lock_guard<std::mutex> lock(mutex_);
  is_open_ = true;
}

void ThreadGate::Close() {
  const std::lock_guard<std::mutex> lock(mutex_);
  is_open_ = false;
  // One that came too late for the code it was meant for.
  Py_XDECREF(TakeAsyncException(&state_));
}

void ThreadGate::Interrupt() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (!is_open_) return;
  // A static type: no interpreter counts references to it. One that is pending already is of this
  // kind, or of the user's own making by ctypes.
  PyObject* exception = PyExc_KeyboardInterrupt;
  PyObject* pending = nullptr;
  __atomic_exchange(&state_.async_exc, &exception, &pending, __ATOMIC_SEQ_CST);
  __atomic_fetch_or(&state_.eval_breaker, kAsyncExceptionBit, __ATOMIC_SEQ_CST);
  pthread_kill(thread_, InterruptSignal());
}

absl::Status InstallInterruptSignal() {
  struct sigaction action = {};
  action.sa_handler = DoNothing;  // without SA_RESTART: it is for ending system calls
  return sigaction(InterruptSignal(), &action, nullptr) == 0
             ? absl::OkStatus()
             : SyscallError("install the signal of interrupts");
}

void WakeThread(pthread_t thread) {
  // Processes without ThreadGates do not have it yet.
  static const bool is_installed = InstallInterruptSignal().ok();
  if (is_installed) pthread_kill(thread, InterruptSignal());
}

int EndOtherThreads() {
  PyThreadState* own = PyThreadState_Get();
  int count = 0;
  // With the GIL no thread takes its state out of the list: what is there has a thread.
  for (PyThreadState* state = PyInterpreterState_ThreadHead(PyThreadState_GetInterpreter(own));
       state != nullptr; state = PyThreadState_Next(state)) {
    if (state == own) continue;
    ++count;
    PyThreadState_SetAsyncExc(state->thread_id, PyExc_SystemExit);
    pthread_kill(static_cast<pthread_t>(state->thread_id), InterruptSignal());
  }
  return count;
}

}  // namespace cloister::sandbox
