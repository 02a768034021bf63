// The value of an execution, as a guest tells it: text or a bundle, or a clone that becomes a typed
// Value here.

#ifndef CLOISTER_SANDBOX_HOST_TYPED_VALUE_H_
#define CLOISTER_SANDBOX_HOST_TYPED_VALUE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cloister/internal/v1/guest.pb.h"
#include "cloister/v1/value.pb.h"

namespace cloister::sandbox {

// Errors, of both: DATA_LOSS, a broken protocol.

// Whether a guest may say this by itself: what is typed comes as a clone only.
absl::Status CheckUntypedValue(const v1::Value& value);

// The clone itself, checked; empty where there is none.
absl::StatusOr<std::string> TakeValueClone(internal::v1::Finished* finished);

// Puts what the clone says into `finished->value`, and why there is none.
absl::Status TakeTypedValue(internal::v1::Finished* finished);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_HOST_TYPED_VALUE_H_
