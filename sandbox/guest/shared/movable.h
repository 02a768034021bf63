// cloister.Movable: a bytes or str that can be handed over to another interpreter without a copy.
//
// An object can only change hands if nobody else has it. So it is kept in one of ours, which gives
// it up where it is transferred (`transfer=[movable]`): between interpreters of one process by its
// address (offers.h), if nobody else has it and it is large enough, and as a copy otherwise. The
// receiver gets the bytes or the str itself.
//
// Thread-safety: the thread that holds the GIL.

#ifndef CLOISTER_SANDBOX_GUEST_SHARED_MOVABLE_H_
#define CLOISTER_SANDBOX_GUEST_SHARED_MOVABLE_H_

#include <cstdint>
#include <utility>

#include "sandbox/base/unique_fd.h"
#include "sandbox/guest/clone/clone_handles.h"
#include "sandbox/guest/python_object.h"

namespace cloister::sandbox {

// What an object knows. Safe to drop in any state.
class MovableState {
 public:
  explicit MovableState(PyRef content) : content_(std::move(content)) {}
  MovableState(const MovableState&) = delete;
  MovableState& operator=(const MovableState&) = delete;

  // Null where it was taken, transferred or is being transferred.
  PyObject* content() const { return content_.get(); }
  bool is_leaving() const { return is_leaving_; }
  bool was_handed_over() const { return was_handed_over_; }
  // False with ValueError or BufferError set where it has nothing to give.
  bool CheckContent() const;
  PyRef Take() { return std::move(content_); }

  bool BeginHandover();
  void EndHandover(bool was_sent);
  // Whether it is an offer now, which a message names by its number and ticket.
  bool MakeOffer();
  int64_t offer() const { return offer_; }
  const OpenDescriptor& ticket() const { return ticket_; }

 private:
  PyRef content_;
  int64_t offer_ = 0;
  OpenDescriptor ticket_;
  bool is_leaving_ = false;
  bool was_handed_over_ = false;
};

struct Movable {
  PyObject_HEAD MovableState state;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_GUEST_SHARED_MOVABLE_H_
