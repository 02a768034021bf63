// What travels beside a clone (proto/CLONE.md, "handles"): the open descriptors of shared memory,
// ports and locks, and what the sender lets go of once the message is sent.
//
// A message is sent in two phases. Until Sent() nothing has changed for the sender but that what is
// to be handed over is held for it; without Sent(), all is as it was before.
//
// Thread-safety: the thread that holds the GIL of the interpreter it was made in; while a message
// is sent, descriptors() may be used without it. It goes without a GIL where nothing is to be
// handed over any more. Ownership: keeps descriptors open while it lives, whatever becomes of the
// objects they are of. Errors: false or empty with a Python exception set, unless said otherwise.

#ifndef CLOISTER_SANDBOX_GUEST_CLONE_CLONE_HANDLES_H_
#define CLOISTER_SANDBOX_GUEST_CLONE_CLONE_HANDLES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sandbox/base/unique_fd.h"
#include "sandbox/clone/format.h"
#include "sandbox/guest/provenance.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// Shared by an object and the messages it is in: a thread may close the object while another one
// sends it.
using OpenDescriptor = std::shared_ptr<const UniqueFd>;

// What the fields of a handle say.
struct CloneHandle {
  std::string name = {};      // the role of a PORT, the class of a SHARED_LOCK
  int64_t capacity = 0;       // of a PORT
  bool is_read_only = false;  // of a SHARED_BUFFER, as is the next
  bool is_handed_over = false;
  uint64_t offset = 0;  // of a SHARED_BUFFER or SHARED_LOCK: where in the memory, and how
  uint64_t size = 0;    // much of it
  std::vector<OpenDescriptor> descriptors = {};  // one, or those of a PORT
};

// How the objects of one kind of handle become handles and come back. All are called with the GIL
// of an interpreter, from any.
struct CloneHandleType {
  CloneKind kind = CloneKind::kSharedBuffer;
  // Of a PORT: the only role that is its; null for all that are nobody else's.
  const char* role = nullptr;
  // Whether it is a class of the calling interpreter for this kind; no exception.
  bool (*owns)(PyTypeObject* type) = nullptr;
  // What the object is. False with `problem` filled, which reads "Channel that was closed cannot be
  // cloned", and no exception. Runs no Python code.
  bool (*describe)(PyObject* object, CloneHandle* handle, std::string* problem) = nullptr;
  // Null where all objects are handles. What is cloned in the object's place, borrowed, or null
  // where it is a handle; no exception. Runs no Python code.
  PyObject* (*content)(PyObject* object, bool is_handed_over) = nullptr;
  // An object of what a peer sent, of which nothing is trusted.
  PyRef (*make)(CloneHandle handle) = nullptr;
  // Null where objects cannot be handed over. From the first on, which may fail, nobody but that
  // message may use up the object; the second ends it, and where the message was sent, the object.
  bool (*begin_handover)(PyObject* object) = nullptr;
  void (*end_handover)(PyObject* object, bool was_sent) = nullptr;
};

// Once for each kind and role, before CPython starts. It lives as long as the process.
void AddCloneHandleType(const CloneHandleType* type);

// Null, without an exception, where the class is none of them, or the kind, with the name in it, is
// nobody's.
const CloneHandleType* FindCloneHandleType(PyTypeObject* type);
const CloneHandleType* FindCloneHandleType(CloneKind kind, std::string_view name);

class CloneHandles {
 public:
  // Of a sender.
  CloneHandles() = default;
  // Of a receiver: what came beside the clone.
  explicit CloneHandles(std::vector<UniqueFd> received);
  CloneHandles(const CloneHandles&) = delete;
  CloneHandles& operator=(const CloneHandles&) = delete;
  ~CloneHandles();

  // ---- sender

  // `objects`, an iterable, are to be handed over; before EncodeClone(), which fails where one of
  // them is not in the value. Once.
  bool HandOver(PyObject* objects);

  // What EncodeClone() has found, in order.
  std::vector<int> descriptors() const;

  // The message is with its receiver.
  void Sent() { End(true); }

  // Used by encoders.
  size_t count() const { return descriptors_.size(); }
  bool IsHandedOver(PyObject* object) const;
  void Add(PyObject* object, OpenDescriptor descriptor);
  void Truncate(size_t count);
  // Of what is handed over, those whose content is in the clone.
  void AddContent(PyObject* object) { contents_.push_back(object); }
  size_t content_count() const { return contents_.size(); }
  void TruncateContents(size_t count) { contents_.resize(count); }
  // Whether all that is handed over was added.
  bool CheckComplete() const;

  // ---- receiver

  // Empty, without an exception, where there is none of that number or it was taken before.
  OpenDescriptor Take(size_t number);

 private:
  struct Handover {
    HomeRef object;
    const CloneHandleType* type;
  };

  void End(bool was_sent);

  std::vector<OpenDescriptor> descriptors_;
  std::vector<PyObject*> objects_;   // of whom the descriptors are; the value holds them
  std::vector<PyObject*> contents_;  // handed over, as is the next
  std::vector<Handover> handovers_;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_CLONE_CLONE_HANDLES_H_
