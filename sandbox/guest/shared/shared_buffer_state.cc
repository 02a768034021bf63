#include <utility>

#include "sandbox/guest/shared/shared_buffer.h"

namespace cloister::sandbox {

void SharedBufferState::Adopt(std::shared_ptr<const SharedMemory> memory, bool is_owner) {
  memory_ = std::move(memory);
  account_ = is_owner ? CurrentAccount() : nullptr;
  if (account_ != nullptr) account_->Take(memory_->page_bytes());
}

const SharedMemory* SharedBufferState::memory() const {
  if (memory_ == nullptr) PyErr_Format(PyExc_ValueError, "SharedBuffer was %s", ending());
  return memory_.get();
}

bool SharedBufferState::BeginUse() {
  if (memory() == nullptr) return false;
  if (is_leaving_) {
    PyErr_SetString(PyExc_BufferError, "SharedBuffer is being transferred");
    return false;
  }
  ++uses_;
  return true;
}

bool SharedBufferState::CheckUnused(const char* what) const {
  if (is_leaving_) {
    PyErr_Format(PyExc_BufferError, "SharedBuffer cannot be %s: it is being transferred", what);
  } else if (uses_ > 0) {
    PyErr_Format(PyExc_BufferError,
                 "SharedBuffer cannot be %s: views of it exist, or waits on it (%zd); release "
                 "memoryviews and drop arrays of it before",
                 what, uses_);
  } else {
    return true;
  }
  return false;
}

bool SharedBufferState::Close() {
  if (memory_ == nullptr) return true;
  if (!CheckUnused("closed")) return false;
  Drop();
  return true;
}

bool SharedBufferState::BeginHandover() {
  if (memory() == nullptr || !CheckUnused("transferred")) return false;
  is_leaving_ = true;
  return true;
}

void SharedBufferState::EndHandover(bool was_sent) {
  is_leaving_ = false;
  if (!was_sent) return;
  was_handed_over_ = true;
  Drop();
}

void SharedBufferState::Drop() {
  if (memory_ == nullptr) return;
  if (account_ != nullptr) account_->GiveBack(memory_->page_bytes());
  account_ = nullptr;
  memory_.reset();
}

}  // namespace cloister::sandbox
