// Which user id each sandbox of a zygote gets. The kernel counts signals and timers in flight,
// descriptors in flight and pages of pipes by user: sandboxes that shared one could use them up for
// each other.

#ifndef CLOISTER_SANDBOX_ZYGOTE_USER_IDS_H_
#define CLOISTER_SANDBOX_ZYGOTE_USER_IDS_H_

#include <sys/types.h>

#include <cstddef>
#include <vector>

namespace cloister::sandbox {

// Hands ids out in a circle, so that one that comes back rests for as long as possible.
//
// Thread-safety: none.
class UserIds {
 public:
  UserIds() = default;
  // The ids from `first` on; `count` is at least 1.
  UserIds(uid_t first, size_t count) : first_(first), taken_(count, false) {}

  // One that nobody has; where all are taken, one that somebody has.
  uid_t Take() {
    size_t candidate = next_;
    while (taken_[candidate]) {
      candidate = (candidate + 1) % taken_.size();
      if (candidate == next_) break;
    }
    next_ = (candidate + 1) % taken_.size();
    taken_[candidate] = true;
    return first_ + static_cast<uid_t>(candidate);
  }

  void Return(uid_t id) { taken_[id - first_] = false; }

 private:
  uid_t first_ = 0;
  std::vector<bool> taken_ = {false};
  size_t next_ = 0;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_ZYGOTE_USER_IDS_H_
