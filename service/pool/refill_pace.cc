#include "service/pool/refill_pace.h"

namespace cloister::pool {

int RefillPace::AtOnce(absl::Time now, int ready, int target, bool somebody_waits) {
  if (4 * ready <= target) is_short_ = true;
  if (2 * ready >= target) is_short_ = false;
  if (somebody_waits || now >= pause_begin()) return maximum_;
  return is_short_ ? 1 : 0;
}

}  // namespace cloister::pool
