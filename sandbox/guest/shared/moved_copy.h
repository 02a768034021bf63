// What goes through the ticket of an object that was offered (offers.h) to a receiver in another
// process: one byte that asks, and one packet with the object's content in sealed memory.
//
// Thread-safety: none of it has state.

#ifndef CLOISTER_SANDBOX_GUEST_SHARED_MOVED_COPY_H_
#define CLOISTER_SANDBOX_GUEST_SHARED_MOVED_COPY_H_

#include <cstddef>
#include <cstdint>

#include "sandbox/base/unique_fd.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

inline constexpr char kCopyPlease = 'c';

struct MovedCopyHeader {
  uint32_t width = 0;  // of a character; 0: it is bytes
  uint32_t reserved = 0;
  uint64_t bytes = 0;
};

// The content of exact bytes, or of a str as it lies in memory. Without a GIL: it never changes.
struct MovedContent {
  const char* data;
  MovedCopyHeader header;
};
MovedContent ContentOf(PyObject* object);

// Sends the copy in `memory`, which is complete, and seals it. Whether it went out; does not wait.
bool SendMovedCopy(int ticket, int memory, const MovedCopyHeader& header);

// Asks through a ticket that a peer sent, of which nothing is trusted, and makes an object of what
// comes. With the GIL, which is released where it waits; empty with a Python exception set.
PyRef ReceiveMovedCopy(int ticket);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_SHARED_MOVED_COPY_H_
