// KeyboardInterrupt in what a session runs for its user, and nowhere else.
//
// Main is interrupted by SIGINT, whose handlers CPython runs in the main thread of the main
// interpreter only. Other interpreters are interrupted by an asynchronous exception that is put
// into the state of their thread, and a signal that ends system calls. CPython looks for such
// exceptions between instructions and, from 3.15 on, where it looks for signals; for 3.14 see
// interruptible_waits.h.

#ifndef CLOISTER_SANDBOX_GUEST_INTERRUPTS_H_
#define CLOISTER_SANDBOX_GUEST_INTERRUPTS_H_

#include <pthread.h>

#include <mutex>

#include "absl/status/status.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// As PyErr_CheckSignals, in any interpreter and thread: -1 with a Python exception set. To be
// called when a system call was ended by a signal.
int CheckInterrupts();

// Closed but while code of the user's runs. Thread-safety: the session's thread, with the GIL.
class InterruptGate {
 public:
  InterruptGate() = default;
  InterruptGate(const InterruptGate&) = delete;
  InterruptGate& operator=(const InterruptGate&) = delete;
  virtual ~InterruptGate() = default;

  // Interrupts that came before were meant for something else and are dropped.
  virtual void Open() = 0;
  virtual void Close() = 0;
};

// Of the main interpreter: SIGINT is blocked while it is closed. What comes meanwhile is pending.
class SignalGate final : public InterruptGate {
 public:
  void Open() override;
  void Close() override;
};

// Of another interpreter, made in the thread that runs its code.
class ThreadGate final : public InterruptGate {
 public:
  ThreadGate() : thread_(pthread_self()), state_(*PyThreadState_Get()) {}

  void Open() override;
  void Close() override;

  // Any thread, with or without a GIL. Nothing where the gate is closed. The thread must be alive.
  void Interrupt();

 private:
  const pthread_t thread_;
  PyThreadState& state_;
  // Of the standard library: see FrameSender. Guards is_open_, and async_exc while it is true.
  std::mutex mutex_;
  bool is_open_ = false;
};

// While it lives the gate is open.
class InterruptsAllowed {
 public:
  explicit InterruptsAllowed(InterruptGate* gate) : gate_(*gate) { gate_.Open(); }
  InterruptsAllowed(const InterruptsAllowed&) = delete;
  InterruptsAllowed& operator=(const InterruptsAllowed&) = delete;
  ~InterruptsAllowed() { gate_.Close(); }

 private:
  InterruptGate& gate_;
};

// Once per process that has ThreadGates, before the first.
absl::Status InstallInterruptSignal();

// Has a thread that waits in WaitForDescriptors look at what it waits for again. The thread must be
// alive.
void WakeThread(pthread_t thread);

// Raises SystemExit in every other thread of the calling interpreter, as soon as it can be; how
// many there are. To be repeated until there are none. With the GIL.
int EndOtherThreads();

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_INTERRUPTS_H_
