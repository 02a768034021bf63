// Early return on a non-OK absl::Status. Debian's abseil does not ship these macros yet; when it does,
// this file goes.

#ifndef CLOISTER_SANDBOX_BASE_STATUS_MACROS_H_
#define CLOISTER_SANDBOX_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define CLOISTER_CONCAT_INNER(a, b) a##b
#define CLOISTER_CONCAT(a, b) CLOISTER_CONCAT_INNER(a, b)

// Returns from the function with the expression's status unless it is OK.
#define CLOISTER_RETURN_IF_ERROR(expression)                                         \
  if (absl::Status cloister_status = (expression); !cloister_status.ok()) \
  return cloister_status

// Assigns the value of a StatusOr to `lhs` (a declaration or an lvalue), or returns its status.
#define CLOISTER_ASSIGN_OR_RETURN(lhs, expression) \
  CLOISTER_ASSIGN_OR_RETURN_IMPL(CLOISTER_CONCAT(cloister_statusor_, __LINE__), lhs, expression)

#define CLOISTER_ASSIGN_OR_RETURN_IMPL(statusor, lhs, expression) \
  auto statusor = (expression);                                   \
  if (!statusor.ok()) return std::move(statusor).status();        \
  lhs = *std::move(statusor)

#endif  // CLOISTER_SANDBOX_BASE_STATUS_MACROS_H_
