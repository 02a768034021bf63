// Pages of what is kept by a rising number, which is what their tokens say.

#ifndef CLOISTER_SERVICE_CORE_PAGE_H_
#define CLOISTER_SERVICE_CORE_PAGE_H_

#include <cstdint>
#include <iterator>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "service/core/error.h"

namespace cloister::core {

// Calls `add` with each value of the page that begins where `token` says, at most `size`; the first page
// without a token. Returns the token of the next; empty where there is none. FIELD_INVALID for a token
// that is none.
template <typename Value, typename Add>
absl::StatusOr<std::string> ReadPage(const std::map<int64_t, Value>& by_number, int size,
                                     const std::string& token, const Add& add) {
  int64_t after = 0;
  if (!token.empty() && (!absl::SimpleAtoi(token, &after) || after < 0)) {
    return FieldInvalidError({{"page_token", "is not one that this server gave out"}});
  }
  int count = 0;
  for (auto next = by_number.upper_bound(after); next != by_number.end(); ++next) {
    if (count++ == size) return absl::StrCat(std::prev(next)->first);
    add(next->second);
  }
  return std::string();
}

}  // namespace cloister::core

#endif  // CLOISTER_SERVICE_CORE_PAGE_H_
