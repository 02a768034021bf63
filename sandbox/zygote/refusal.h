// Errors that lie in the sandbox that was to be copied, and not in the machine: its owner is told, and
// can do something about them.

#ifndef CLOISTER_SANDBOX_ZYGOTE_REFUSAL_H_
#define CLOISTER_SANDBOX_ZYGOTE_REFUSAL_H_

#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/cord.h"

namespace cloister::sandbox {

inline constexpr char kRefusalPayload[] = "cloister/refusal";

// FAILED_PRECONDITION, which some errors of system calls are as well: the mark tells them apart.
inline absl::Status Refusal(std::string_view why) {
  absl::Status status = absl::FailedPreconditionError(absl::string_view(why.data(), why.size()));
  status.SetPayload(kRefusalPayload, absl::Cord());
  return status;
}

inline bool IsRefusal(const absl::Status& status) {
  return status.GetPayload(kRefusalPayload).has_value();
}

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_ZYGOTE_REFUSAL_H_
