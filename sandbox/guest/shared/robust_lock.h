// A lock in shared memory whose next owner is told if its holder died.
//
// The lock is one word, used as glibc's robust mutexes use theirs (Documentation/locking/
// robust-futex-ABI.rst in the kernel): the holder's thread id, a bit for "somebody waits", and a
// bit that the kernel sets when it finds the word among the locks that a thread held when it ended.
// It finds it in a list of the thread's, which begins in the thread's own memory and goes through a
// node beside each lock, at a fixed distance behind the word.
//
// That node has two pointers, and glibc follows and writes through them. In a mutex in shared
// memory any peer could lead them elsewhere, into the memory of whoever lets go of a lock. Here
// they are not shared: the word lies at the end of the page of shared memory, and the node at the
// start of a page of private memory mapped right behind it. All that a hostile peer can do is to
// write words: take the lock from its holder, leave it locked for ever, or say that somebody died.
// It is of the same tenant, and could do as much by not unlocking. Nobody's memory is reached by
// it.
//
//     | shared page ........ word, sequence | node (private page) ... |
//
// A thread has the lock, of whatever interpreter or process; one id means one thread in all of a
// sandbox. It is not recursive.
//
// What our own memory looks like is never concluded from the word: which thread has the node in its
// list, the object knows. Where that may be another thread, the mapping is left to it, for as long
// as the process lives, and a new one is made.
//
// Thread-safety: any thread, with the GIL. Ownership: of the mapping but as said.

#ifndef CLOISTER_SANDBOX_GUEST_SHARED_ROBUST_LOCK_H_
#define CLOISTER_SANDBOX_GUEST_SHARED_ROBUST_LOCK_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sandbox/guest/clone/clone_handles.h"
#include "sandbox/guest/shared/futex.h"

struct robust_list_head;

namespace cloister::sandbox {

class RobustLock {
 public:
  // The size of the file that it is in.
  static size_t FileBytes();

  // Of a file of that size that was made or checked; zeroed, it is free.
  static absl::StatusOr<std::unique_ptr<RobustLock>> Map(OpenDescriptor file);
  RobustLock(const RobustLock&) = delete;
  RobustLock& operator=(const RobustLock&) = delete;
  ~RobustLock();

  enum class Attempt {
    kAcquired,
    kHeld,          // by another thread; `seen` is to be waited with
    kHeldByCaller,  // perhaps through another object
    kNotSupported,  // by this libc
    kNoMemory,
  };
  // `has_waited`: others may wait as well, who would not be woken else.
  Attempt TryAcquire(bool has_waited, uint32_t* seen);

  // One wait, with the GIL let go of. After kYes the caller tries again before anything else:
  // should it die before, the kernel wakes another in its place.
  Woken Wait(uint32_t seen, int64_t nanoseconds);

  enum class Released {
    kYes,
    kNotHeld,    // by the calling thread through this object
    kTakenAway,  // it was, until somebody wrote over the word
  };
  Released Release();

  // By the calling thread through this object.
  bool IsHeldByCaller() const;
  bool IsHeld() const;
  // Of the one who has it: whether the one before died.
  bool owner_died() const { return owner_died_; }

  // A word for who waits for something else than the lock, and what it was in a moment.
  const uint32_t* sequence() const { return word_ + 1; }
  uint32_t LoadSequence() const;
  void AdvanceSequence();

  const OpenDescriptor& file() const { return file_; }

 private:
  explicit RobustLock(OpenDescriptor file) : file_(std::move(file)) {}
  absl::Status MapPages();
  bool Take(uint32_t seen, uint32_t wanted, robust_list_head* head);
  // Before the node goes into a list: it is in none.
  bool FreeNode();
  bool IsListedByOther() const;

  const OpenDescriptor file_;
  char* mapped_ = nullptr;
  uint32_t* word_ = nullptr;
  // In whose list the node is, unless that thread has ended, and the list.
  uint64_t holder_ = 0;  // 0: in none
  pid_t thread_ = 0;     // of the holder, as the kernel calls it
  pid_t process_ = 0;    // a copy of the process has none of its threads
  robust_list_head* head_ = nullptr;
  bool owner_died_ = false;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_SHARED_ROBUST_LOCK_H_
