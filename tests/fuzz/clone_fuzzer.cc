// Clones that a guest wrote, and Values that a client did: what is accepted becomes the other form
// and back without change, and what one direction makes, the other accepts.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "cloister/v1/value.pb.h"
#include "sandbox/clone/check.h"
#include "sandbox/clone/value.h"

namespace cloister::sandbox {
namespace {

// The Value of a clone that must be one.
v1::Value ValueOf(std::string_view clone) {
  const absl::StatusOr<v1::Value> value = ValueFromClone(clone, kValueCloneLimits);
  if (!value.ok()) std::abort();
  return *value;
}

// The clone of a Value that must have one.
std::string CloneOf(const v1::Value& value) {
  const absl::StatusOr<std::string> clone = CloneFromValue(value, kValueCloneLimits);
  if (!clone.ok()) std::abort();
  return *clone;
}

// A clone whose numbers are not in their normal form perhaps.
void TryClone(std::string_view clone) {
  const bool is_clone = CheckClone(clone, kValueCloneLimits, CloneBuffers::kInline).ok();
  // Inside a sandbox more is one, and all of this is.
  if (!CheckClone(clone, kValueCloneLimits, CloneBuffers::kAny).ok() && is_clone) std::abort();
  if (!is_clone) {
    if (ValueFromClone(clone, kValueCloneLimits).ok()) std::abort();
    return;
  }
  const v1::Value value = ValueOf(clone);
  const std::string normal = CloneOf(value);
  if (normal.size() > clone.size()) std::abort();
  if (ValueOf(normal).SerializeAsString() != value.SerializeAsString()) std::abort();
  if (CloneOf(value) != normal) std::abort();
}

void TryValue(std::string_view bytes) {
  v1::Value value;
  if (!value.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const absl::StatusOr<std::string> clone = CloneFromValue(value, kValueCloneLimits);
  if (!clone.ok()) {
    if (clone.status().message().empty()) std::abort();
    return;
  }
  // Parsers take what comes of it: it is no deeper than they go.
  v1::Value normal;
  if (!normal.ParseFromString(ValueOf(*clone).SerializeAsString())) std::abort();
  if (CloneOf(normal) != *clone) std::abort();
}

}  // namespace
}  // namespace cloister::sandbox

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  cloister::sandbox::TryClone(bytes);
  cloister::sandbox::TryValue(bytes);
  return 0;
}
