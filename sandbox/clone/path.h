// The way to a value inside a clone, for messages: "$.users[3].socket" (proto/CLONE.md, end).

#ifndef CLOISTER_SANDBOX_CLONE_PATH_H_
#define CLOISTER_SANDBOX_CLONE_PATH_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "sandbox/clone/shape.h"

namespace cloister::sandbox {

// Which value inside which one.
struct ClonePathStep {
  const CloneShape* shape = nullptr;
  uint64_t index = 0;
  size_t key_offset = 0;  // of what has keys: where in the value bytes the latest of them is
};

// Printable UTF-8 whatever the clone holds; cut where it is very long. `value` is the clone's value
// as far as it has been read or written: at least all keys. Takes time for what is before them.
std::string ClonePath(absl::Span<const ClonePathStep> steps, std::string_view value);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_CLONE_PATH_H_
