// _thread.lock and _thread.RLock whose waiting an asynchronous exception ends; CPython's own wait
// for ever in interpreters other than main, and with them all of threading, queue and
// concurrent.futures.

#ifndef CLOISTER_SANDBOX_GUEST_INTERRUPTIBLE_LOCK_H_
#define CLOISTER_SANDBOX_GUEST_INTERRUPTIBLE_LOCK_H_

namespace cloister::sandbox {

// Puts them in place of the originals in module _thread, and in threading where that is imported
// already. Locks made before stay as they are. False with a Python exception set.
bool InstallInterruptibleLocks();

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_INTERRUPTIBLE_LOCK_H_
