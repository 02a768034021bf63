// Objects that interpreters of one process hand over to one another by pointer: bytes and str that
// nobody else has.
//
// CPython takes memory for large objects from malloc, whatever the interpreter, and the two types
// are static and the same for all: so an object with one reference can be another interpreter's
// from one moment to the next. Enable() looks whether that is so; where it is not, there are no
// offers, and messages carry copies.
//
// An offer is taken once, by a number that cannot be guessed, and lives as long as its ticket: a
// socket whose other end the message carries. Where the kernel drops the message, the ticket
// closes, and the object is freed. Whoever gets the message in another process has no way to the
// object, and asks through the ticket for a copy (moved_copy.h). So no address ever is in a
// message, and nothing in one is believed.
//
// Each interpreter counts the large objects it has, and gives its arenas back at its end only if
// there are none left: both sides of a move put their counts right.
//
// Thread-safety: any thread; functions that touch objects say which GIL. Ownership: of what is
// offered, until it is taken.

#ifndef CLOISTER_SANDBOX_GUEST_SHARED_OFFERS_H_
#define CLOISTER_SANDBOX_GUEST_SHARED_OFFERS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

#include "sandbox/base/unique_fd.h"
#include "sandbox/guest/memory_account.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

class Offers {
 public:
  static Offers& OfProcess();

  // What is smaller is copied.
  static constexpr size_t kMinBytes = size_t{64} << 10;
  static constexpr size_t kMaxOffers = 256;

  // Once, with the GIL of the only interpreter, behind CountMemory(): from here on objects can be
  // offered, if this CPython is as it has to be. Serve() has to be called from then on.
  bool Enable();
  bool is_enabled() const { return is_enabled_; }

  // Whether the object is one that can be moved, if there is room for it; the caller has the only
  // reference. With the GIL of its interpreter.
  bool CanMove(PyObject* object) const;

  // Takes the object over. 0 where it could not, and nothing has happened; no exception. With the
  // GIL of its interpreter.
  int64_t Put(PyObject* object, UniqueFd* ticket);

  // With the same GIL, one of the two: its message was sent, or it was not, and it is the caller's
  // again.
  static void Sent() { (void)CountOneLess(); }
  PyRef TakeBack(int64_t number);

  // The object, which is the calling interpreter's from here on. Empty where there is none of that
  // number any more, and with MemoryError set where the interpreter has no room for it.
  PyRef Take(int64_t number);

  // For the process's first thread, without a GIL: readable when Serve() has something to do.
  int descriptor() const { return poller_.get(); }
  // Frees what nobody can take any more, and works on copies. Whether there was anything.
  bool Serve();

  size_t count();

 private:
  struct Offer {
    PyObject* object = nullptr;
    size_t block_bytes = 0;
    MemoryAccount* payer = nullptr;
    UniqueFd end = {};
    // While somebody is sent a copy; nobody can take it then.
    UniqueFd copy = {};
    size_t copied = 0;
  };

  // No longer among them; without an object where there is none, or it is being copied.
  Offer Remove(int64_t number);
  // A large object less, or more, in the calling interpreter. False where there is no memory.
  static bool CountOneLess();
  static bool CountOneMore();
  void OnTicket(int64_t number, uint32_t events);
  // Whether it is over.
  static bool CopyPiece(Offer* offer);
  static void Free(Offer offer);

  bool is_enabled_ = false;
  UniqueFd poller_;
  std::mutex mutex_;
  std::map<int64_t, Offer> offers_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_SHARED_OFFERS_H_
