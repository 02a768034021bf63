#include "service/rpc/host_call_values.h"

#include <string>
#include <unordered_map>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "sandbox/base/foreign_text.h"
#include "sandbox/base/status_macros.h"
#include "sandbox/clone/value.h"

namespace cloister::rpc {
namespace {

using v1::Value;

// What arguments share is copied, for each that has it. No more than that of one call, in memory: there a Value takes
// a hundred bytes for what may be four on the wire.
constexpr size_t kMaximumCopiedBytes = size_t{16} << 20;

// Takes Values apart that lie in one, with what they refer to.
class Splitter {
 public:
  // `copied_bytes` is that of all arguments of the call.
  Splitter(Value whole, size_t* copied_bytes)
      : whole_(std::move(whole)), copied_bytes_(*copied_bytes) {}

  Value& whole() { return whole_; }

  absl::StatusOr<Value> Take(Value* part) {
    Value taken = std::move(*part);
    if (whole_.shared().empty()) return taken;
    places_.clear();
    CLOISTER_RETURN_IF_ERROR(Renumber(&taken, &taken));
    // What is shared may refer to more; it grows meanwhile.
    for (int i = 0; i < taken.shared_size(); ++i) {
      Value one = std::move(*taken.mutable_shared(i));
      CLOISTER_RETURN_IF_ERROR(Renumber(&one, &taken));
      *taken.mutable_shared(i) = std::move(one);
    }
    return taken;
  }

 private:
  absl::Status Renumber(Value* value, Value* outermost) {
    switch (value->kind_case()) {
      case Value::kReference: {
        CLOISTER_ASSIGN_OR_RETURN(const uint32_t place, PlaceOf(value->reference(), outermost));
        value->set_reference(place);
        return absl::OkStatus();
      }
      case Value::kTupleValue:
        return RenumberAll(value->mutable_tuple_value()->mutable_items(), outermost);
      case Value::kListValue:
        return RenumberAll(value->mutable_list_value()->mutable_items(), outermost);
      case Value::kSetValue:
        return RenumberAll(value->mutable_set_value()->mutable_items(), outermost);
      case Value::kFrozensetValue:
        return RenumberAll(value->mutable_frozenset_value()->mutable_items(), outermost);
      case Value::kDictValue:
        return RenumberEntries(value->mutable_dict_value(), outermost);
      case Value::kFrozendictValue:
        return RenumberEntries(value->mutable_frozendict_value(), outermost);
      case Value::kObjectValue:
        return RenumberAll(value->mutable_object_value()->mutable_fields(), outermost);
      default:
        return absl::OkStatus();
    }
  }
  absl::Status RenumberAll(google::protobuf::RepeatedPtrField<Value>* values, Value* outermost) {
    for (Value& value : *values) CLOISTER_RETURN_IF_ERROR(Renumber(&value, outermost));
    return absl::OkStatus();
  }
  absl::Status RenumberEntries(v1::Entries* entries, Value* outermost) {
    for (int i = 0; i < entries->keys_size(); ++i) {
      CLOISTER_RETURN_IF_ERROR(Renumber(entries->mutable_keys(i), outermost));
      CLOISTER_RETURN_IF_ERROR(Renumber(entries->mutable_values(i), outermost));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<uint32_t> PlaceOf(uint32_t reference, Value* outermost) {
    const auto [place, is_new] =
        places_.emplace(reference, static_cast<uint32_t>(outermost->shared_size()));
    if (is_new) {
      const Value& shared = whole_.shared(static_cast<int>(reference));
      copied_bytes_ += shared.SpaceUsedLong();
      if (copied_bytes_ > kMaximumCopiedBytes) {
        return absl::InvalidArgumentError(
            "the arguments share too much with one another; pass them as one, in a tuple");
      }
      *outermost->add_shared() = shared;
    }
    return place->second;
  }

  Value whole_;
  std::unordered_map<uint32_t, uint32_t> places_;  // by that in whole_
  size_t& copied_bytes_;
};

}  // namespace

absl::Status FillHostCall(const internal::v1::CallHost& call, v1::HostCall* host_call) {
  size_t copied_bytes = 0;
  host_call->set_function(call.function());
  if (!call.arguments().empty()) {
    CLOISTER_ASSIGN_OR_RETURN(
        Value whole, sandbox::ValueFromClone(call.arguments(), sandbox::kResultCloneLimits));
    Splitter splitter(std::move(whole), &copied_bytes);
    for (Value& item : *splitter.whole().mutable_tuple_value()->mutable_items()) {
      CLOISTER_ASSIGN_OR_RETURN(*host_call->add_arguments(), splitter.Take(&item));
    }
  }
  if (call.keyword_arguments().empty()) return absl::OkStatus();
  CLOISTER_ASSIGN_OR_RETURN(
      Value whole, sandbox::ValueFromClone(call.keyword_arguments(), sandbox::kResultCloneLimits));
  Splitter splitter(std::move(whole), &copied_bytes);
  v1::Entries& entries = *splitter.whole().mutable_dict_value();
  for (int i = 0; i < entries.keys_size(); ++i) {
    if (!entries.keys(i).has_string_value()) {
      return absl::InvalidArgumentError(
          "names of keyword arguments have to be text without surrogates");
    }
    CLOISTER_ASSIGN_OR_RETURN(
        (*host_call->mutable_keyword_arguments())[entries.keys(i).string_value()],
        splitter.Take(entries.mutable_values(i)));
  }
  return absl::OkStatus();
}

}  // namespace cloister::rpc
