// Whether bytes are a clone.
//
// What cannot be known without the types' own rules is not checked: whether keys come twice, and
// what fields hold beyond their type (proto/CLONE.md, "Objects"). Who makes objects checks that.
//
// Time grows with the bytes; memory by two bytes for each numbered object. Thread-safety: functions
// without state. Errors: INVALID_ARGUMENT, with the offset, the way to the culprit, and what is
// wrong with it.

#ifndef CLOISTER_SANDBOX_CLONE_CHECK_H_
#define CLOISTER_SANDBOX_CLONE_CHECK_H_

#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sandbox/clone/format.h"
#include "sandbox/clone/layout.h"

namespace cloister::sandbox {

enum class CloneBuffers {
  kInline,  // only, and no handles: what crosses a sandbox's border
  kAny,     // what descriptors and blocks exist, the caller compares
};

struct CheckedClone {
  CloneParts parts;
  std::vector<bool> referenced;  // of each reference number, whether a REFERENCE has it
};

absl::StatusOr<CheckedClone> CheckClone(std::string_view clone, const CloneLimits& limits,
                                        CloneBuffers buffers);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_CLONE_CHECK_H_
