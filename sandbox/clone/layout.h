// What is around the value of a clone: header, buffer table and inline buffers (proto/CLONE.md,
// "Layout").
//
// Ownership: views point into the bytes they were made from. Thread-safety: functions without
// state. Errors: INVALID_ARGUMENT, with the offset and what is wrong there; RESOURCE_EXHAUSTED for
// what is past a limit.

#ifndef CLOISTER_SANDBOX_CLONE_LAYOUT_H_
#define CLOISTER_SANDBOX_CLONE_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "sandbox/clone/format.h"

namespace cloister::sandbox {

// An entry of the buffer table.
struct CloneBuffer {
  CloneBufferSource source = CloneBufferSource::kInline;
  uint32_t index = 0;
  uint64_t offset = 0;  // of INLINE ones from the start of the clone; inside it, as is the end
  uint64_t size = 0;
};

struct CloneParts {
  std::string_view value;  // unchecked
  std::vector<CloneBuffer> buffers;
  size_t descriptor_count = 0;  // how many travel beside it: buffers name each of them once
};

// Takes a hostile clone apart and checks all that is not its value. Whether the descriptors and
// blocks exist that its buffers name, only the caller can know.
absl::StatusOr<CloneParts> ParseClone(std::string_view clone, const CloneLimits& limits);

// A buffer to compose a clone with.
struct CloneBufferSpec {
  CloneBufferSource source = CloneBufferSource::kInline;
  std::string_view content = {};  // of an INLINE one
  uint32_t index = 0;             // of the others, as are offset and size
  uint64_t offset = 0;
  uint64_t size = 0;
};

// Begins a clone in `clone`, which is empty: room for the header. The bytes of one value are
// appended by the caller, then EndClone() completes it.
void BeginClone(std::string* clone);
absl::Status EndClone(absl::Span<const CloneBufferSpec> buffers, const CloneLimits& limits,
                      std::string* clone);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_CLONE_LAYOUT_H_
