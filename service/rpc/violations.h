// Collects what is wrong with a request or a configuration, by field path, so that the user can
// mend everything at once.

#ifndef CLOISTER_SERVICE_RPC_VIOLATIONS_H_
#define CLOISTER_SERVICE_RPC_VIOLATIONS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "service/core/error.h"

namespace cloister::rpc {

// Thread-safety: none.
class Violations {
 public:
  // What is told at most: the details travel in a trailer, and those are small.
  static constexpr size_t kMaximum = 20;

  void Add(std::string_view field, std::string_view description) {
    if (list_.size() < kMaximum) list_.push_back({std::string(field), std::string(description)});
  }

  bool empty() const { return list_.empty(); }
  const std::vector<core::FieldViolation>& list() const { return list_; }

  // OK, or FIELD_INVALID with everything collected.
  absl::Status ToStatus() const {
    return list_.empty() ? absl::OkStatus() : core::FieldInvalidError(list_);
  }

 private:
  std::vector<core::FieldViolation> list_;
};

// Untrusted text as it may appear in a field path or a description: escaped, quoted, short.
std::string Quoted(std::string_view text);

}  // namespace cloister::rpc

#endif  // CLOISTER_SERVICE_RPC_VIOLATIONS_H_
