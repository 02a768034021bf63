// A cloister.v1.Value without what is inside it, as a token of a clone.
//
// Ownership: tokens and children point into the Value. Thread-safety: see ValueToken.

#ifndef CLOISTER_SANDBOX_CLONE_VALUE_TOKEN_H_
#define CLOISTER_SANDBOX_CLONE_VALUE_TOKEN_H_

#include <string_view>

#include "absl/status/status.h"
#include "cloister/v1/value.pb.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "sandbox/clone/token.h"

namespace cloister::sandbox {

// The Values directly inside one, in the order of a clone.
struct ValueChildren {
  const google::protobuf::RepeatedPtrField<v1::Value>* items = nullptr;
  const google::protobuf::RepeatedPtrField<v1::Value>* keys =
      nullptr;  // of dicts, in turn with items

  int count() const {
    return (items == nullptr ? 0 : items->size()) + (keys == nullptr ? 0 : keys->size());
  }
  // Of dicts with as many keys as values.
  const v1::Value& at(int i) const {
    if (keys == nullptr) return items->Get(i);
    return i % 2 == 0 ? keys->Get(i / 2) : items->Get(i / 2);
  }
};

ValueChildren ChildrenOf(const v1::Value& value);

// Makes tokens, each of which is good until the next.
//
// Thread-safety: none.
class ValueToken {
 public:
  // The token of any Value but a `reference`; not numbered, and of a buffer without its number.
  // INVALID_ARGUMENT: what is wrong with it, without the place.
  absl::Status Make(const v1::Value& value, CloneToken* token);

 private:
  absl::Status MakeBigInt(std::string_view bytes, CloneToken* token);
  void MakeFloats(const double* numbers, size_t count, CloneToken* token);

  char floats_[16];
};

}  // namespace cloister::sandbox

#endif  // CLOISTER_SANDBOX_CLONE_VALUE_TOKEN_H_
