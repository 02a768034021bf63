// Clones as cloister.v1.Value and back, without loss (proto/CLONE.md, cloister/v1/value.proto).
//
// Both directions take hostile input. Give kValueCloneLimits or less. Memory: of a Value about a
// hundred bytes for each value, which `limits.values` bounds; beside it a few bytes for each.
// Thread-safety: functions without state.

#ifndef CLOISTER_SANDBOX_CLONE_VALUE_H_
#define CLOISTER_SANDBOX_CLONE_VALUE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "cloister/v1/value.pb.h"
#include "google/protobuf/map.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "sandbox/clone/format.h"

namespace cloister::sandbox {

// How deep Values lie in one another at most that ValueFromClone() makes, the outermost being 1
// deep.
inline constexpr int kMaxValueDepth = 30;

// The Value that a clone with inline buffers is, in its normal form: `shared` has what is referred
// to more than once, and what lies too deep, in the order of first occurrence. `type_name` is not
// set. INVALID_ARGUMENT as CheckClone().
absl::StatusOr<v1::Value> ValueFromClone(std::string_view clone, const CloneLimits& limits);

// The clone that a Value is. Equal clones come of Values with the same normal form.
// INVALID_ARGUMENT: the way to what is wrong, and what is: "$.users[3]: LIST is not hashable"; fit
// for the client who sent it.
absl::StatusOr<std::string> CloneFromValue(const v1::Value& value, const CloneLimits& limits);

// One TUPLE of Values, or one DICT of them with the names as text keys, in the order of their
// bytes. Each Value has its own `shared`; the limits hold for all together.
absl::StatusOr<std::string> TupleCloneFromValues(
    const google::protobuf::RepeatedPtrField<v1::Value>& values, const CloneLimits& limits);
absl::StatusOr<std::string> DictCloneFromValues(
    const google::protobuf::Map<std::string, v1::Value>& values, const CloneLimits& limits);

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_CLONE_VALUE_H_
