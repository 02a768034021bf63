// cloister.SharedBuffer: memory that all interpreters and processes of a sandbox can have at once,
// or one after another.
//
// Programs reach it through views (memoryview, numpy.frombuffer), without a copy, and by atomics.
// Sent in a message, it is one more object of the same memory there. Handed over
// (`transfer=[buffer]`), the sender's object is detached once the message is sent; objects of the
// same memory that others have already stay as they are. While views of an object or waits on it
// exist, it cannot be closed or handed over: no view ever points at memory that is gone.
//
// The kernel charges the memory to the sandbox for as long as anybody has it: that is its bound.
// The account of an interpreter is an estimate, and no bound, as it is for what C code takes: the
// one that made it, or was handed it, is charged until that object is closed, detached or dropped.
// Further objects of the same memory, which it may have made itself, pay nothing.
//
// Thread-safety: the thread that holds the GIL.

#ifndef CLOISTER_SANDBOX_GUEST_SHARED_SHARED_BUFFER_H_
#define CLOISTER_SANDBOX_GUEST_SHARED_SHARED_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "sandbox/guest/memory_account.h"
#include "sandbox/guest/python_object.h"
#include "sandbox/guest/shared/shared_memory.h"

namespace cloister::sandbox {

// What an object knows. Safe to drop in any state.
class SharedBufferState {
 public:
  SharedBufferState() = default;
  SharedBufferState(const SharedBufferState&) = delete;
  SharedBufferState& operator=(const SharedBufferState&) = delete;
  ~SharedBufferState() { Drop(); }

  // Gives an object that has none its memory; `is_owner`: which its interpreter pays for.
  void Adopt(std::shared_ptr<const SharedMemory> memory, bool is_owner);

  // Null with ValueError set where it was closed or detached.
  const SharedMemory* memory() const;
  const SharedMemory* peek() const { return memory_.get(); }

  // A view or a wait begins, and ends. False with a Python exception set.
  bool BeginUse();
  void EndUse() { --uses_; }

  // False with BufferError set where it is in use; `what` would have become of it.
  bool CheckUnused(const char* what) const;
  bool Close();

  bool BeginHandover();
  void EndHandover(bool was_sent);

  bool is_leaving() const { return is_leaving_; }

  const char* ending() const { return was_handed_over_ ? "transferred" : "closed"; }

 private:
  void Drop();

  std::shared_ptr<const SharedMemory> memory_;
  MemoryAccount* account_ = nullptr;  // that pays
  Py_ssize_t uses_ = 0;
  bool is_leaving_ = false;  // held by a message that is being sent
  bool was_handed_over_ = false;
};

struct SharedBuffer {
  PyObject_HEAD SharedBufferState state;
};

// A new object, which its interpreter pays for, of a file that was made for it.
PyRef NewSharedBuffer(OpenDescriptor file, uint64_t size);

// In shared_buffer_files.cc, as CPython calls methods.
PyObject* SharedBufferFromFile(PyObject* type, PyObject* path);
PyObject* SharedBufferSave(PyObject* self, PyObject* path);

// The name of the memory, for people.
inline constexpr char kSharedBufferName[] = "cloister.SharedBuffer";

inline SharedBuffer* AsSharedBuffer(PyObject* self) {
  return reinterpret_cast<SharedBuffer*>(self);
}

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_SHARED_SHARED_BUFFER_H_
