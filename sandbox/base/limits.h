// The bounds of one execution, all resolved: the server has filled in defaults and checked maxima.
//
// cloister.v1.Limits says what each means and what happens past it.

#ifndef CLOISTER_SANDBOX_BASE_LIMITS_H_
#define CLOISTER_SANDBOX_BASE_LIMITS_H_

#include <cstdint>

#include "absl/time/time.h"

namespace cloister::sandbox {

// Thread-safety: a value. Units: bytes, counts, lengths of time (not points in time).
struct Limits {
  absl::Duration wall_time = absl::Seconds(10);
  absl::Duration cpu_time = absl::Seconds(10);
  int64_t memory_bytes = int64_t{256} << 20;
  int64_t output_bytes = int64_t{1} << 20;
  int64_t process_count = 64;
  int64_t open_file_count = 256;
  int64_t file_bytes = int64_t{64} << 20;
  int64_t workspace_bytes = int64_t{64} << 20;

  friend bool operator==(const Limits&, const Limits&) = default;
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_BASE_LIMITS_H_
