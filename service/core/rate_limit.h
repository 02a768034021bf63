// So many a second on average, and so many at once after a pause.

#ifndef CLOISTER_SERVICE_CORE_RATE_LIMIT_H_
#define CLOISTER_SERVICE_CORE_RATE_LIMIT_H_

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace cloister::core {

// Thread-safety: safe.
class RateLimit {
 public:
  // `burst` is at least 1; `per_second` more than 0.
  RateLimit(double per_second, int burst);

  // Zero: one more may come, and is counted. Otherwise how long it is until one may; that one is
  // not counted.
  absl::Duration Take(absl::Time now) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const absl::Duration interval_;
  const absl::Duration tolerance_;
  absl::Mutex mutex_;
  // When the bucket will be full again.
  absl::Time full_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_RATE_LIMIT_H_
