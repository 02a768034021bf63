// Values as a user types them: JSON.

#ifndef CLOISTER_CLIENTS_CLI_COMMANDS_VALUE_JSON_H_
#define CLOISTER_CLIENTS_CLI_COMMANDS_VALUE_JSON_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cloister/v1/value.pb.h"

namespace cloister::cli {

// An array becomes a list, an object a dict, null None. Errors: INVALID_ARGUMENT, where it is no
// JSON, deeper than 40, or has a whole number beyond 64 bits, which JSON leaves to chance.
absl::StatusOr<v1::Value> ValueFromJson(absl::string_view text);

}  // namespace cloister::cli

#endif  // CLOISTER_CLIENTS_CLI_COMMANDS_VALUE_JSON_H_
