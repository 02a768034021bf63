#include "sandbox/host/typed_value.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "sandbox/base/foreign_text.h"
#include "sandbox/clone/check.h"
#include "sandbox/clone/value.h"
#include "sandbox/host/notebook_frame.h"

namespace cloister::sandbox {
namespace {

constexpr size_t kMaxCloneErrorBytes = size_t{4} << 10;

}  // namespace

absl::Status CheckUntypedValue(const v1::Value& value) {
  if (value.shared_size() > 0 || !value.clone_error().empty() ||
      (value.kind_case() != v1::Value::KIND_NOT_SET && !value.has_text() && !value.has_bundle())) {
    return absl::DataLossError("a typed value that is no clone");
  }
  return value.has_bundle() ? CheckBundle(value.bundle()) : absl::OkStatus();
}

absl::StatusOr<std::string> TakeValueClone(internal::v1::Finished* finished) {
  if (finished->value_clone().empty()) return std::string();
  const auto checked =
      CheckClone(finished->value_clone(), kResultCloneLimits, CloneBuffers::kInline);
  if (!checked.ok()) {
    return absl::DataLossError(absl::StrCat("a broken clone: ", checked.status().message()));
  }
  std::string clone = std::move(*finished->mutable_value_clone());
  finished->clear_value_clone();
  return clone;
}

absl::Status TakeTypedValue(internal::v1::Finished* finished) {
  if (!finished->clone_error().empty()) {
    finished->mutable_value()->set_clone_error(
        ForeignLine(finished->clone_error(), kMaxCloneErrorBytes));
  }
  if (finished->value_clone().empty()) return absl::OkStatus();
  if (!finished->clone_error().empty()) return absl::DataLossError("a clone and why there is none");
  absl::StatusOr<v1::Value> value = ValueFromClone(finished->value_clone(), kResultCloneLimits);
  finished->clear_value_clone();
  if (!value.ok())
    return absl::DataLossError(absl::StrCat("a broken clone: ", value.status().message()));
  value->set_type_name(finished->value().type_name());
  *finished->mutable_value() = *std::move(value);
  return absl::OkStatus();
}

}  // namespace cloister::sandbox
